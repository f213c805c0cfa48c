package store

import (
	"maps"
	"testing"
)

// folderCases are changes of folders. After each of them all is known and all is watched.
func folderCases() map[string]func(v *view) {
	return map[string]func(v *view){
		"folder made": func(v *view) { v.folder(ann+"/.New", "cur/a:2,", "new/b") },
		"folder moved into place": func(v *view) {
			v.folder("../made", "cur/a:2,", "new/b")
			v.mv("../made", ann+"/.Made")
		},
		"folder renamed": func(v *view) { v.mv(ann+"/.Sent", ann+"/.Posted"); v.touch(ann + "/.Posted/cur/x:2,") },
		"folders swapped": func(v *view) {
			v.mv(ann+"/.Sent", ann+"/.x")
			v.mv(ann+"/.Lists.go", ann+"/.Sent")
			v.mv(ann+"/.x", ann+"/.Lists.go")
			v.touch(ann + "/.Sent/cur/x:2,")
			v.touch(ann + "/.Lists.go/cur/y:2,")
		},
		"folder to another account": func(v *view) { v.mv(ann+"/.Sent", bob+"/.Sent"); v.touch(bob + "/.Sent/cur/x:2,") },
		"folder removed":            func(v *view) { v.rm(ann + "/.Sent") },
		"folder removed by us":      func(v *view) { must(v.t, v.tree("ann@example.org").RemoveFolder("Sent")) },
		"folder renamed by us":      func(v *view) { must(v.t, v.tree("ann@example.org").RenameFolder("Lists.go", "Lists.c")) },
		"folder made again":         func(v *view) { v.rm(ann + "/.Sent"); v.folder(ann+"/.Sent", "new/again") },
		"folder moved and made again": func(v *view) {
			v.mv(ann+"/.Sent", "../away")
			v.folder(ann+"/.Sent", "cur/s1:2,F")
			v.touch("../away/cur/nowhere:2,")
		},
		"folder hidden and shown": func(v *view) {
			v.mv(ann+"/.Sent", ann+"/Sent")
			v.touch(ann + "/Sent/cur/x:2,")
			v.mv(ann+"/Sent", ann+"/.Sent")
		},
		"no folder any more": func(v *view) { v.mv(ann+"/.Sent/cur", ann+"/.Sent/x") },
		"new removed":        func(v *view) { v.rm(ann + "/.Lists.go/new"); v.rm(ann + "/new") },
		"new made again": func(v *view) {
			v.rm(ann + "/.Lists.go/new")
			v.settled()
			v.folder(ann+"/.Lists.go", "new/x")
		},
		"cur replaced": func(v *view) {
			v.folder(ann+"/.Sent/other", "cur/x:2,")
			v.mv(ann+"/.Sent/cur", ann+"/.Sent/old")
			v.mv(ann+"/.Sent/other/cur", ann+"/.Sent/cur")
		},
		"new moved to another folder": func(v *view) {
			v.rm(ann + "/.Sent/new")
			v.settled()
			v.mv(ann+"/.Lists.go/new", ann+"/.Sent/new")
			v.touch(ann + "/.Sent/new/x")
		},
		"second spelling comes": func(v *view) {
			v.folder(ann+"/.Entwürfe", "cur/raw:2,")
			v.settled()
			v.folder(ann+"/.Entw&APw-rfe", "cur/encoded:2,")
			v.touch(ann + "/.Entwürfe/cur/hidden:2,")
		},
		"second spelling goes": func(v *view) {
			v.folder(ann+"/.Entw&APw-rfe", "cur/encoded:2,")
			v.folder(ann+"/.Entwürfe", "cur/raw:2,")
			v.settled()
			v.rm(ann + "/.Entw&APw-rfe")
		},
	}
}

// accountCases are the same of accounts and domains.
func accountCases() map[string]func(v *view) {
	return map[string]func(v *view){
		"account made":         func(v *view) { v.tree("zoe@example.org"); v.touch("example.org/zoe/new/z") },
		"account made by hand": func(v *view) { v.folder("example.org/zoe", "new/z"); v.folder("example.org/zoe/.Sent", "new/z") },
		"account removed":      func(v *view) { v.rm(ann) },
		"account renamed":      func(v *view) { v.mv(ann, "example.org/anna"); v.touch("example.org/anna/.Sent/cur/x:2,") },
		"account made again":   func(v *view) { v.rm(ann); v.folder(ann, "cur/c1:2,T") },
		"accounts swapped": func(v *view) {
			v.mv(ann, "x")
			v.mv(bob, ann)
			v.mv("x", bob)
			v.touch(ann + "/new/x")
			v.touch(bob + "/new/y")
		},
		"account without inbox": func(v *view) { v.rm(ann + "/cur") },
		"domain made":           func(v *view) { v.folder("example.net/ann", "new/x"); v.folder("example.net/bob/.Sent", "new/y") },
		"domain removed":        func(v *view) { v.rm("example.org") },
		"domain renamed":        func(v *view) { v.mv("example.org", "example.net"); v.touch("example.net/ann/new/x") },
		"root made again": func(v *view) {
			v.mv(".", "../old")
			v.tree(fence)
			v.folder(ann, "new/other")
			v.await("the other root", func() bool { return maps.Equal(v.files, v.disk("")) })
		},
		"links are not followed": func(v *view) {
			v.folder("../elsewhere", "new/x")
			v.folder("../elsewhere/sub", "new/x")
			v.ln("../../elsewhere", "example.org/link")
			v.ln("../elsewhere", "link.example")
			v.ln("../../../elsewhere", ann+"/.Link")
			v.rm(ann + "/.Sent/cur")
			v.ln("../../../../elsewhere/new", ann+"/.Sent/cur")
			v.touch("../elsewhere/new/y")
		},
	}
}

func TestFollowDirectories(t *testing.T) {
	t.Parallel()
	cases := folderCases()
	maps.Copy(cases, accountCases())
	for name, change := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := follow(t, standard)
			change(v)
			v.probe()
		})
	}
}
