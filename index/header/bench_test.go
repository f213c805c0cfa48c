package header

import (
	"strings"
	"testing"
)

const benchBlock = `Return-Path: <ann@host.example>
Received: from mx.example (mx.example [192.0.2.1])
	by mail.example.org (maild) with ESMTPS id 0000abcd
	for <bob@example.org>; Mon, 23 Nov 2026 15:00:33 +0000
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=host.example; s=2026; h=from:to:subject:date:message-id;
	bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=; b=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
From: =?utf-8?q?Ann_J=C3=B6rgensen?= <ann@host.example>
To: Bob <bob@example.org>, "Carl, the third" <carl@example.org>
Subject: =?utf-8?B?R3LDvMOfZQ==?= from far away
Date: Mon, 23 Nov 2026 15:00:33 +0000
Message-ID: <0000abcd.1@host.example>
References: <0000abcc.1@host.example>
 <0000abcb.1@host.example>
MIME-Version: 1.0
Content-Type: text/plain; charset=utf-8

`

func BenchmarkParse(b *testing.B) {
	b.SetBytes(int64(len(benchBlock)))
	b.ReportAllocs()
	for b.Loop() {
		block, err := ReadBlock(strings.NewReader(benchBlock))
		if err != nil {
			b.Fatal(err)
		}
		Parse(block)
	}
}

// BenchmarkHostile has what makes careless parsers quadratic, in a block of full size: the rate must stay that of large octet counts.
func BenchmarkHostile(b *testing.B) {
	fill := func(s string) string { return strings.Repeat(s, (MaxBlockOctets-10)/len(s)) }
	for name, value := range map[string]string{
		"beginnings": fill("=?a?q?"), "words": fill("=?a?q?b?= "), "quotes": fill(`"\`), "parens": fill("("), "angles": fill("<"), "groups": fill("a:"),
		"commas": fill("a@b,"), "folds": fill("\n x"), "8bit": fill("\xe9"), "semicolons": fill("a:;"), "quotedWords": fill(`"=?a?q?`), "brackets": fill("["),
		"dots": fill(". @ "), "pairs": fill("<a> b "),
	} {
		b.Run(name, func(b *testing.B) {
			block := []byte("To: " + value + "\n")
			b.SetBytes(int64(len(block)))
			for b.Loop() {
				Parse(block)
			}
		})
	}
}
