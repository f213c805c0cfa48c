package appliance

import (
	"context"
	"time"

	"maild/appliance/account"
	"maild/appliance/delivery"
)

// keepQuota keeps maildirsize right where accounts have limits: what other
// programs did to the mail, and new limits, are found as often as the index is
// compared with the mail. Deliveries write it themselves.
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
	accounts, quota := a.accounts, delivery.QuotaOf(a.cfg.Quota)
	a.mu.Unlock()
	list, err := accounts.Accounts(ctx, account.Filter{})
	if err != nil {
		return err
	}
	for _, who := range list {
		written, err := a.store.KeepSizeFile(ctx, who.Name(), quota.For(who))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			a.log.Warn("maildirsize", "account", who.Name(), "err", err)
		case written:
			a.log.Info("maildirsize", "account", who.Name(), "status", "written anew")
		}
	}
	return nil
}
