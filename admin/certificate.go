package admin

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"maild/appliance/config"
)

// leastDays: with fewer left, a certificate is a problem. The usual automatic renewal happens at 30 days, so a certificate this near its end was not renewed.
const leastDays = 21

// certificateView is the certificate that clients are shown, in JSON.
type certificateView struct {
	File       string    `json:"file"`
	Subject    string    `json:"subject"`
	Issuer     string    `json:"issuer"`
	Names      []string  `json:"names"`
	NotAfter   time.Time `json:"not_after"`
	DaysLeft   int       `json:"days_left"`
	SelfSigned bool      `json:"self_signed"`
}

// issuer is who signed it, for people.
func (v *certificateView) issuer() string {
	if v.SelfSigned {
		return "self-signed"
	}
	return v.Issuer
}

// term is until when it is good, for people.
func (c *call) term(v *certificateView) string {
	if v.DaysLeft < 0 {
		return c.moment(v.NotAfter) + ", so it has expired"
	}
	return fmt.Sprintf("%s, in %d days", c.moment(v.NotAfter), v.DaysLeft)
}

// certificateFiles are those that count: of the configuration, or what maild makes for itself.
func certificateFiles(cfg config.Config) (certificate, key string, own bool) {
	if cfg.TLS.Certificate != "" {
		return cfg.TLS.Certificate, cfg.TLS.Key, false
	}
	certificate, key = cfg.SelfSigned()
	return certificate, key, true
}

// lookAtCertificate reads the pair as the daemon does, and says what is wrong with it. There is none, and nothing wrong, before maild has made its own.
func (c *call) lookAtCertificate() (v *certificateView, faults []finding, err error) {
	cfg := c.box.cfg
	file, key, own := certificateFiles(cfg)
	if _, err := os.Stat(file); own && errors.Is(err, fs.ErrNotExist) {
		return nil, nil, nil
	}
	pair, err := tls.LoadX509KeyPair(file, key)
	switch {
	case errors.Is(err, fs.ErrPermission):
		return nil, []finding{{what: fmt.Sprintf("the certificate cannot be read: %v", err),
			mend: fmt.Sprintf("sudo chgrp %s %s %s && sudo chmod g+r %[2]s %[3]s", shellWord(c.owner()), shellWord(file), shellWord(key))}}, nil
	case errors.Is(err, fs.ErrNotExist):
		return nil, []finding{{what: fmt.Sprintf("the certificate cannot be read: %v", err), mend: "sudoedit " + shellWord(c.configPath()) + "   # tls.certificate and tls.key"}}, nil
	case err != nil && own:
		return nil, []finding{{what: fmt.Sprintf("the certificate that maild made for itself is damaged: %v", err),
			mend: fmt.Sprintf("sudo rm -f %s %s && sudo systemctl restart maild", shellWord(file), shellWord(key))}}, nil
	case err != nil:
		return nil, []finding{{what: fmt.Sprintf("certificate %s and key %s: %v", file, key, err), mend: "sudoedit " + shellWord(c.configPath()) + "   # tls.certificate and tls.key"}}, nil
	}
	leaf := pair.Leaf
	left := leaf.NotAfter.Sub(c.world.now())
	v = &certificateView{File: file, Subject: leaf.Subject.String(), Issuer: leaf.Issuer.String(), Names: append([]string{}, leaf.DNSNames...),
		NotAfter: leaf.NotAfter.UTC(), DaysLeft: int(left.Hours() / 24), SelfSigned: leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) == nil}
	if v.Subject == "" && len(v.Names) > 0 {
		v.Subject = "CN=" + v.Names[0] // RFC 6125 §6.4.4: newer certificates have names alone
	}
	named := c.box.file != "" // else the host name is this machine's, not the copy's
	switch {
	case left < 0:
		faults = append(faults, finding{what: fmt.Sprintf("the certificate %s has expired on %s", file, leaf.NotAfter.Format(time.DateOnly)), mend: renewal(own, file, key)})
	case v.DaysLeft < leastDays:
		faults = append(faults, finding{what: fmt.Sprintf("the certificate %s expires in %d days, on %s", file, v.DaysLeft, leaf.NotAfter.Format(time.DateOnly)), mend: renewal(own, file, key)})
	}
	switch err := leaf.VerifyHostname(cfg.Hostname); {
	case !named:
	case err != nil && own:
		faults = append(faults, finding{what: fmt.Sprintf("the certificate %s is not for %s: %v", file, cfg.Hostname, err), mend: "sudo systemctl restart maild"})
	case v.SelfSigned && isPublicName(cfg.Hostname):
		faults = append(faults, finding{what: fmt.Sprintf("the certificate of %s is self-signed: mail programs of users will not trust it", cfg.Hostname),
			mend: "sudo certbot certonly --standalone -d " + shellWord(cfg.Hostname) + "   # then name the files in tls.certificate and tls.key of " + c.configPath()})
	case err != nil:
		faults = append(faults, finding{what: fmt.Sprintf("the certificate %s is not for %s: %v", file, cfg.Hostname, err),
			mend: "sudo certbot certonly --standalone -d " + shellWord(cfg.Hostname)})
	}
	return v, faults, nil
}

// configPath is the configuration file for a remedy.
func (c *call) configPath() string {
	if c.box != nil && c.box.file != "" {
		return c.box.file
	}
	return config.DefaultPath
}

func renewal(own bool, file, key string) string {
	if own {
		return fmt.Sprintf("sudo rm -f %s %s && sudo systemctl restart maild", shellWord(file), shellWord(key))
	}
	return "sudo certbot renew"
}

// isPublicName reports whether other hosts can know a name: it has a domain, and one that is not reserved for private use or for examples.
func isPublicName(name string) bool {
	labels := strings.Split(name, ".")
	if len(labels) < 2 {
		return false
	}
	// RFC 2606 §2 and §3, RFC 6761 §6, RFC 6762 §3, RFC 8375, RFC 9476 §3, and what routers and Ubuntu make up.
	top, second := labels[len(labels)-1], labels[len(labels)-2]
	switch top {
	case "test", "example", "invalid", "localhost", "local", "localdomain", "lan", "home", "internal", "intranet", "private", "corp", "alt", "onion":
		return false
	case "arpa":
		return second != "home"
	case "com", "net", "org":
		return second != "example"
	}
	return true
}

// shellWord quotes a word for a shell, where that is needed.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("/._-+@:,=%", r))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
