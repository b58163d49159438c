//! A family of counters by label values, with a cap.
//!
//! Deliberately not here: what the members count and how they are rendered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

/// Longest label value, in bytes.
const VALUE_BYTES_MAX: usize = 128;
/// The label value of everything beyond the cap.
pub(super) const OTHER: &str = "other";

/// Label names and values of a member.
pub(super) type Labels = Vec<(&'static str, String)>;

/// Members by the values of `N` labels.
pub(super) struct Family<const N: usize, V> {
    names: [&'static str; N],
    /// The first labels, which keep their values beyond the cap because their
    /// values are few by nature.
    bounded: usize,
    max: usize,
    members: Mutex<BTreeMap<[Box<str>; N], Arc<V>>>,
    overflowed: AtomicU64,
}

impl<const N: usize, V: Default> Family<N, V> {
    /// An empty family of at most `max` members, not counting those named
    /// `other`.
    pub(super) fn new(names: [&'static str; N], bounded: usize, max: usize) -> Self {
        Self {
            names,
            bounded,
            max,
            members: Mutex::default(),
            overflowed: AtomicU64::new(0),
        }
    }

    /// The member with these label values, or the one named `other`.
    pub(super) fn get(&self, values: [&str; N]) -> Arc<V> {
        let values = values.map(|value| &value[..value.floor_char_boundary(VALUE_BYTES_MAX)]);
        // Nothing that can panic runs under this lock.
        let mut members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let key = values.map(Box::<str>::from);
        if let Some(member) = members.get(&key) {
            return member.clone();
        }
        if members.len() < self.max {
            return members.entry(key).or_default().clone();
        }
        self.overflowed.fetch_add(1, Relaxed);
        let mut labels = values;
        labels[self.bounded..].fill(OTHER);
        members.entry(labels.map(Box::from)).or_default().clone()
    }

    /// How often a member was refused for the cap.
    pub(super) fn overflowed(&self) -> u64 {
        self.overflowed.load(Relaxed)
    }

    /// All members in the order of their labels, without holding the lock.
    pub(super) fn members(&self) -> Vec<(Labels, Arc<V>)> {
        let members = self.members.lock().unwrap_or_else(PoisonError::into_inner);
        let labels = |key: &[Box<str>; N]| {
            let values = key.iter().map(|value| value.to_string());
            self.names.into_iter().zip(values).collect()
        };
        members
            .iter()
            .map(|(key, member)| (labels(key), member.clone()))
            .collect()
    }
}
