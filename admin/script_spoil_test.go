package admin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io/fs"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"
)

// spoil does to the data directory what a script asks for.
func (s *script) spoil(words []string) error {
	switch words[0] {
	case "mode":
		mode, err := strconv.ParseUint(words[1], 8, 32)
		if err != nil {
			return err
		}
		return os.Chmod(filepath.Join(s.root, words[2]), fs.FileMode(mode))
	case "make":
		path := filepath.Join(s.root, words[1])
		switch words[2] {
		case "fifo":
			return syscall.Mkfifo(path, 0o600)
		case "dir":
			return os.MkdirAll(path, 0o700)
		}
		return os.WriteFile(path, nil, 0o600)
	}
	until, err := time.Parse(time.DateOnly, words[2])
	if err != nil {
		return err
	}
	return writeCertificate(filepath.Join(s.root, "tls"), words[1], until)
}

// writeCertificate makes what the daemon makes for itself.
func writeCertificate(dir, host string, until time.Time) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: until.AddDate(-1, 0, 0), NotAfter: until, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for name, block := range map[string]pem.Block{"self-signed.pem": {Type: "CERTIFICATE", Bytes: der}, "self-signed.key": {Type: "PRIVATE KEY", Bytes: secret}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&block), 0o600); err != nil {
			return fmt.Errorf("certificate: %w", err)
		}
	}
	return nil
}

// append adds a line to a file.
func (s *script) append(file, line string) error {
	path := filepath.Join(s.root, file)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text, '\n')
	}
	return os.WriteFile(path, append(text, line+"\n"...), 0o600)
}

// shell runs a line as an admin would who has copied it.
func shell(t *testing.T, line string) string {
	t.Helper()
	out, err := exec.Command("/bin/sh", "-c", line).Output()
	if err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return string(out)
}
