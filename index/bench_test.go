package index

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"maild/index/query"

	"maild/index/header"
)

var benchWords = []string{
	"report", "invoice", "meeting", "quarter", "budget", "release", "notes", "update", "question", "lunch", "server", "backup", "draft", "contract",
	"holiday", "schedule", "review", "patch", "kernel", "driver", "order", "shipping", "Zürich", "café", "plan", "team", "status", "weekly", "login", "reminder",
}

// benchLetter is the nth of a series of messages with headers of real size: some 1,500 octets.
func benchLetter(n int) string {
	w := func(k int) string { return benchWords[(n*7+k*13+n/31)%len(benchWords)] }
	return fmt.Sprintf(`Return-Path: <%[2]s.%[3]s@host%[4]d.example>
Received: from mx%[4]d.example (mx%[4]d.example [192.0.2.%[5]d])
	by mail.example.org (maild) with ESMTPS id %08[1]x
	for <user%[6]d@example.org>; Mon, 23 Nov 2026 15:00:33 +0000
Received: from internal.example ([198.51.100.7]) by mx%[4]d.example; Mon, 23 Nov 2026 15:00:31 +0000
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=host%[4]d.example; s=2026; h=from:to:subject:date:message-id;
	bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
From: %[2]s %[3]s <%[2]s.%[3]s@host%[4]d.example>
To: User %[6]d <user%[6]d@example.org>
Cc: list-%[7]s@example.org
Subject: %[7]s %[8]s %[9]s number %[1]d
Date: Mon, 23 Nov 2026 15:00:33 +0000
Message-ID: <%08[1]x.%[5]d@host%[4]d.example>
References: <%08[10]x.1@host%[4]d.example>
In-Reply-To: <%08[10]x.1@host%[4]d.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: 8bit
X-Mailer: Synthetic 1.0

`, n, w(1), w(2), n%97, n%251, n%100, w(3), w(4), w(5), n/3)
}

func benchPlace(n int) place { return place{fmt.Sprintf("user%d@example.org", n%100), "INBOX"} }

func benchFile(n int) File {
	at := longAgo.Add(time.Duration(n) * 1777 * time.Microsecond)
	return File{
		Key: fmt.Sprintf("%d.M%dP4242Q%d.mail,S=5700,W=5800", at.Unix(), at.Nanosecond()/1000, n), Flags: "S", Octets: 5700, Arrived: at,
	}
}

func benchSource(n int) *mapSource {
	src := newMapSource()
	for i := range n {
		src.put(benchPlace(i), benchFile(i), benchLetter(i))
	}
	return src
}

// BenchmarkReconcile fills an empty index from 20,000 messages in memory.
func BenchmarkReconcile(b *testing.B) {
	const n = 20_000
	src := benchSource(n)
	var octets int64
	for b.Loop() {
		ix := openTest(b, Options{Source: src, Path: filepath.Join(b.TempDir(), "index.db")})
		if r := reconcile(b, ix, ReconcileOptions{}); r.Added != n {
			b.Fatalf("%+v", r)
		}
		b.StopTimer()
		if err := ix.Close(); err != nil {
			b.Fatal(err)
		}
		fi, err := os.Stat(ix.opt.Path)
		if err != nil {
			b.Fatal(err)
		}
		octets = fi.Size()
		b.StartTimer()
	}
	b.ReportMetric(n*float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64(octets)/n, "octets/msg")
}

// BenchmarkUnchanged reconciles 100 folders in which nothing changed.
func BenchmarkUnchanged(b *testing.B) {
	src := benchSource(2000)
	ix := openTest(b, Options{Source: src})
	reconcile(b, ix, ReconcileOptions{})
	for b.Loop() {
		if r := reconcile(b, ix, ReconcileOptions{}); r.Scanned != 0 {
			b.Fatalf("%+v", r)
		}
	}
}

// BenchmarkRecord is a message through Run and Flush, alone and in batches.
func BenchmarkRecord(b *testing.B) {
	for _, size := range []int{1, 10, 1000} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			ix := openTest(b, Options{})
			runTest(b, ix)
			h := header.Parse([]byte(benchLetter(1)))
			n := 0
			for b.Loop() {
				for range size {
					f := benchFile(n)
					p := benchPlace(n)
					ix.Record(Message{Account: p.account, Folder: p.folder, Key: f.Key, Octets: f.Octets, Arrived: f.Arrived, Header: h})
					n++
				}
				flush(b, ix)
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// filled is an index of 100,000 messages, made once for all query benchmarks.
var filled = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "index-bench-")
	return filepath.Join(dir, "index.db"), err
})

func BenchmarkQuery(b *testing.B) {
	path, err := filled()
	if err != nil {
		b.Fatal(err)
	}
	defer os.RemoveAll(filepath.Dir(path))
	const n = 100_000
	ix := openTest(b, Options{Path: path, Source: benchSource(n)})
	reconcile(b, ix, ReconcileOptions{})
	for _, bm := range []struct {
		name string
		q    Query
	}{
		{"newest50", Query{Limit: 50}},
		{"word50", Query{Where: ask(`subject:invoice`).Where, Limit: 50}},
		{"twoWords50", Query{Where: ask(`subject:invoice subject:budget`).Where, Limit: 50}},
		{"address50", Query{Where: ask(`from:@host17.example`).Where, Limit: 50}},
		{"substring50", Query{Where: ask(`from:ost17.ex`).Where, Limit: 50}},
		{"prefix1x50", Query{Where: ask(`subject:i*`).Where, Limit: 50}},
		{"rare", ask(`subject:"number 77777"`)},
		{"messageID", ask(fmt.Sprintf("id:<%08x.%d@host%d.example>", 4711, 4711%251, 4711%97))},
		{"account50", Query{Where: ask(`account:user7@example.org`).Where, Limit: 50}},
		{"accountWord50", Query{Where: ask(`account:user7@example.org subject:invoice`).Where, Limit: 50}},
		{"wordUnread50", Query{Where: ask(`subject:invoice is:unread`).Where, Limit: 50}},
		{"wordAll", ask(`subject:invoice`)},
		{"headerColumn", ask(`header:subject="NUMBER 777"`)},
		{"newest50afterSince", Query{Where: query.Arrived{From: longAgo.Add(170 * time.Second)}, Limit: 50}},
		{"sinceNothing", Query{Where: query.Arrived{From: longAgo.Add(time.Hour)}}},
	} {
		b.Run(bm.name, func(b *testing.B) {
			hits := 0
			for b.Loop() {
				hits = 0
				if err := ix.Search(b.Context(), bm.q, func(Message) error { hits++; return nil }); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(hits), "hits")
		})
	}
	b.Run("open", func(b *testing.B) {
		for b.Loop() {
			one, err := Open(b.Context(), Options{Path: path})
			if err != nil {
				b.Fatal(err)
			}
			if err := one.Search(b.Context(), Query{Where: ask("subject:invoice").Where, Limit: 50}, func(Message) error { return nil }); err != nil {
				b.Fatal(err)
			}
			if err := one.Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
