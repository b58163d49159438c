//! What the oracle makes of a process that died.

use std::collections::BTreeMap;

use evidence::Reservation;
use meter::Draw;

use super::oracle::{Entry, Oracle};

impl Oracle {
    /// A process died, and this is what the ledger has of each exchange.
    /// `sent` are the providers that calls of an exchange had reached.
    pub(super) fn crashed(
        &mut self,
        ledger: &BTreeMap<usize, Vec<Reservation>>,
        sent: &dyn Fn(usize) -> Vec<String>,
    ) {
        let mut rows = ledger.clone();
        let mut found = Vec::new();
        // A further slice is taken before it is written down and used behind
        // that, so a crash in between owes nothing of the last one.
        let mut last: BTreeMap<(usize, Option<String>), usize> = BTreeMap::new();
        for entry in &self.entries {
            let last = last.entry((entry.exchange, entry.provider.clone()));
            let last = last.or_default();
            *last = entry.slice.max(*last);
        }
        // Cells and permits pass by themselves.
        self.leaks.clear();
        for entry in &mut self.entries {
            entry.is_old = true;
            let own = rows.entry(entry.exchange).or_default();
            let at = own.iter().position(|row| is_row(row, entry));
            let at = at.or_else(|| {
                // The last slice was not written down yet, nor used.
                let whole = std::mem::replace(&mut entry.draw.amount, entry.before);
                let at = own.iter().position(|row| is_row(row, entry));
                if at.is_none() || entry.slice == 0 {
                    entry.draw.amount = whole;
                    return None;
                }
                at
            });
            let row = at.map(|at| own.remove(at));
            if let Some(row) = row {
                entry.settled = Some(row.settled.unwrap_or(row.reserved));
                continue;
            }
            let sent = sent(entry.exchange);
            let was_sent = match &entry.provider {
                None => !sent.is_empty(),
                Some(provider) => sent.contains(provider),
            };
            // An entry that was settled has been in the ledger before.
            let is_spent = entry.settled != Some(0);
            let key = (entry.exchange, entry.provider.clone());
            let is_last = entry.slice > 0 && last.get(&key) == Some(&entry.slice);
            let is_spent = is_spent && !is_last;
            let is_owed = is_spent && entry.draw.kind == meter::QuotaKind::Budget && was_sent;
            if is_owed && !entry.gone {
                found.push(format!(
                    "x{}: what it took of {} [{}] was forgotten by a crash",
                    entry.exchange, entry.draw.quota, entry.scope
                ));
            }
            entry.gone = true;
        }
        for text in found {
            self.add("durable", text);
        }
        for (exchange, rows) in rows {
            if !rows.is_empty() {
                self.add(
                    "ledger",
                    format!("x{exchange} has rows that nobody took: {rows:?}"),
                );
            }
        }
    }
}

/// Whether a row of the ledger is about this.
pub(super) fn is_row(row: &Reservation, entry: &Entry) -> bool {
    let Draw { span, amount, .. } = &entry.draw;
    *row.quota == *entry.draw.quota
        && *row.scope == *entry.scope
        && (row.from_us, row.until_us) == (span.from_us, span.until_us)
        && row.reserved == *amount
        && row.attempt.is_some() == entry.provider.is_some()
}
