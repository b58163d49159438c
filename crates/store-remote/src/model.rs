//! The script in Rust, without a server: the reference to which the script is
//! held, and the server of the simulation.

use std::collections::{BTreeMap, HashMap};

use crate::call::{Call, Item, Kind, MAX, SHARE, Share, Status, Told};

/// All counters of a group.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    epoch: Option<i64>,
    lost: i64,
    register: BTreeMap<u128, i64>,
    counters: HashMap<u128, Counter>,
}

#[derive(Clone, Debug, Default)]
struct Counter {
    settling: Option<i64>,
    tat: i64,
    rows: BTreeMap<(i64, String), Row>,
}

#[derive(Clone, Copy, Debug)]
struct Row {
    held: i64,
    used: i64,
    seq: i64,
    ends: i64,
}

impl Counter {
    fn is_empty(&self) -> bool {
        self.rows.is_empty() && self.settling.is_none() && self.tat == 0
    }
}

impl Model {
    /// What the script does at a moment of the server's time.
    pub(crate) fn call(&mut self, now_us: i64, call: &Call) -> Told {
        self.register.retain(|_, ends| *ends > now_us);
        let epoch = *self.epoch.get_or_insert(now_us);
        let mut told = Told {
            status: Status::Granted,
            lost: self.lost.max(epoch),
            now_us,
            shares: Vec::new(),
        };
        let mut items = call.items.clone();
        for item in &mut items {
            if item.kind == Kind::Permits {
                item.ends = now_us + call.lease_us;
            }
        }
        if items.iter().any(|item| self.seen(item, call) >= call.seq) {
            told.status = Status::Stale;
            return told;
        }
        let seen: Vec<i64> = items.iter().map(|item| self.seen(item, call)).collect();
        for (item, seen) in items.iter().zip(seen) {
            self.mourn(now_us, item, seen, call);
        }
        told.lost = self.lost.max(epoch);
        for item in &items {
            if item.kind != Kind::Cells && item.ends > now_us {
                self.write(item, call);
            }
        }
        let rooms: Vec<Room> = items
            .iter()
            .map(|item| self.look(now_us, item, call))
            .collect();
        let is_new = now_us < epoch + call.lease_us;
        for (item, room) in items.iter().zip(&rooms) {
            if item.high > 0 && (is_new || room.is_settling) {
                told.status = Status::Settling;
            } else if room.is_short && told.status == Status::Granted {
                told.status = Status::Short;
            }
        }
        for (item, room) in items.iter_mut().zip(rooms) {
            let raises = told.status == Status::Granted && item.high > 0;
            told.shares.push(match item.kind {
                Kind::Cells => self.give(item, &room, raises),
                Kind::Window | Kind::Sliding | Kind::Permits => {
                    if raises && item.ends > now_us {
                        self.raise(item, &room, call);
                    }
                    Share {
                        held: item.held,
                        others_held: room.others_held,
                        others_used: room.others_used,
                    }
                }
            });
        }
        told
    }

    /// All that replicas hold of a counter in a window, ended or not.
    pub(crate) fn held(&self, counter: u128, slot: i64) -> i64 {
        let rows = self.counters.get(&counter).map(|it| &it.rows);
        let rows = rows.into_iter().flatten();
        rows.filter(|((of, _), _)| *of == slot)
            .map(|(_, row)| row.held)
            .sum()
    }

    /// Loses everything, as a server that starts empty.
    pub(crate) fn lose_all(&mut self) {
        *self = Self::default();
    }

    /// Loses the register, and keeps the counters.
    pub(crate) fn lose_register(&mut self) {
        self.epoch = None;
        self.lost = 0;
        self.register.clear();
    }

    /// Loses a counter, as a server that has no more memory.
    pub(crate) fn evict(&mut self, counter: u128) {
        self.counters.remove(&counter);
    }

    fn seen(&self, item: &Item, call: &Call) -> i64 {
        let known = self.counters.get(&item.counter);
        let key = (item.slot, call.replica.to_string());
        known
            .and_then(|it| it.rows.get(&key))
            .map_or(0, |row| row.seq)
    }

    fn mourn(&mut self, now_us: i64, item: &Item, seen: i64, call: &Call) {
        let is_lost =
            !self.counters.contains_key(&item.counter) && self.register.contains_key(&item.counter);
        if item.kind == Kind::Cells {
            if is_lost {
                let tat = now_us + item.held;
                self.counters.entry(item.counter).or_default().tat = tat;
                self.remember(item.counter, tat);
            }
        } else if item.ends > now_us && (is_lost || item.kind != Kind::Permits && item.acked > seen)
        {
            let until = now_us + call.lease_us;
            self.counters.entry(item.counter).or_default().settling = Some(until);
            self.remember(item.counter, until);
            self.lost = now_us;
        }
    }

    fn remember(&mut self, counter: u128, ends: i64) {
        let known = self.register.entry(counter).or_insert(ends);
        *known = ends.max(*known);
    }

    fn write(&mut self, item: &Item, call: &Call) {
        let row = Row {
            held: item.held,
            used: item.used,
            seq: call.seq,
            ends: item.ends,
        };
        let counter = self.counters.entry(item.counter).or_default();
        let key = (item.slot, call.replica.to_string());
        counter.rows.insert(key, row);
        self.remember(item.counter, item.ends);
    }

    fn look(&mut self, now_us: i64, item: &Item, call: &Call) -> Room {
        let Some(counter) = self.counters.get_mut(&item.counter) else {
            return Room::of(now_us, item, 0);
        };
        if item.kind == Kind::Cells {
            return Room::of(now_us, item, counter.tat);
        }
        counter.rows.retain(|_, row| row.ends > now_us);
        if counter.is_empty() {
            // The server keeps no key without fields.
            self.counters.remove(&item.counter);
            return Room::of(now_us, item, 0);
        }
        let mut room = Room::of(now_us, item, 0);
        room.is_settling = counter.settling.is_some_and(|until| until > now_us);
        for ((slot, replica), row) in &counter.rows {
            let is_own = *slot == item.slot && **replica == *call.replica;
            if !is_own && (item.kind != Kind::Window || *slot == item.slot) {
                room.others_held = MAX.min(room.others_held + row.held);
                room.others_used = MAX.min(room.others_used + row.used);
            }
        }
        room.left = item.limit - room.others_held;
        room.is_short = item.need > item.held && item.need > room.left;
        room
    }

    fn give(&mut self, item: &Item, room: &Room, raises: bool) -> Share {
        let mut tat = room.tat;
        let mut given = 0;
        if raises {
            given = room.left.min(item.high);
            tat += given * item.limit;
            self.counters.entry(item.counter).or_default().tat = tat;
            self.remember(item.counter, tat);
        }
        Share {
            held: given,
            others_held: tat,
            others_used: 0,
        }
    }

    fn raise(&mut self, item: &mut Item, room: &Room, call: &Call) {
        let need = item.need.max(item.held);
        let slice = (room.left - need).max(0) / SHARE;
        let slice = slice.max(item.low).min(item.high);
        let held = room.left.min(MAX.min(need + slice));
        if held > item.held {
            item.held = held;
            self.write(item, call);
        }
    }
}

/// What was found about an item.
struct Room {
    left: i64,
    is_short: bool,
    is_settling: bool,
    others_held: i64,
    others_used: i64,
    tat: i64,
}

impl Room {
    /// Of a counter without rows.
    fn of(now_us: i64, item: &Item, tat: i64) -> Self {
        let latest = now_us + item.held;
        let tat = tat.max(now_us).min(latest);
        let left = match item.kind {
            Kind::Cells => (latest - tat) / item.limit,
            Kind::Window | Kind::Sliding | Kind::Permits => item.limit,
        };
        let has = match item.kind {
            Kind::Cells => 0,
            Kind::Window | Kind::Sliding | Kind::Permits => item.held,
        };
        Self {
            left,
            is_short: item.need > has && item.need > left,
            is_settling: false,
            others_held: 0,
            others_used: 0,
            tat,
        }
    }
}
