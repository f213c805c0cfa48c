package appliance

import (
	"context"
	"time"

	"maild/appliance/account"
)

// keepQuota keeps maildirsize right where accounts have limits, and has their
// users told: what other programs did to the mail, and new limits, are found as
// often as the index is compared with the mail. Deliveries do both themselves.
func (a *Appliance) keepQuota(ctx context.Context) {
	for {
		a.mu.Lock()
		wait := time.Duration(a.cfg.Index.Sweep)
		a.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
		if err := a.keepSizeFiles(ctx); err != nil && ctx.Err() == nil {
			a.log.Error("quota", "err", err)
		}
	}
}

func (a *Appliance) keepSizeFiles(ctx context.Context) error {
	a.mu.Lock()
	accounts, judge := a.accounts, a.deliveryOf(a.cfg)
	a.mu.Unlock()
	list, err := accounts.Accounts(ctx, account.Filter{})
	if err != nil {
		return err
	}
	for _, who := range list {
		written, err := a.store.KeepSizeFile(ctx, who.Name(), judge.Quota.For(who))
		if err == nil {
			err = judge.Look(ctx, who)
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			a.log.Warn("quota", "account", who.Name(), "err", err)
		case written:
			a.log.Info("maildirsize", "account", who.Name(), "status", "written anew")
		}
	}
	return nil
}
