package mail

// Envelope is what travels beside a message: its reverse-path, its recipients,
// and what the client said of it in MAIL.
type Envelope struct {
	From ReversePath
	To   []ForwardPath

	// SizeOctets is the client's SIZE estimate (RFC 1870), 0 when it gave none.
	SizeOctets int64
	// EightBit is set by BODY=8BITMIME (RFC 6152).
	EightBit bool
	// UTF8 is set by SMTPUTF8 (RFC 6531).
	UTF8 bool
}

// Action is what became of one recipient, in the words of RFC 3464 §2.3.3.
type Action string

// The actions known so far.
const (
	Delivered Action = "delivered" // in the recipient's Maildir, durable
	Failed    Action = "failed"    // will not be tried again
	Delayed   Action = "delayed"   // the sender is asked to try again
)

// Result is the outcome of one transaction for one recipient.
type Result struct {
	Recipient ForwardPath
	Action    Action
	Status    Status   // what the client is told
	Accounts  []string // the accounts it went to
	Err       error    // the cause, for the log; nil when delivered
}
