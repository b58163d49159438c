//! What was typed, as the path and query of the admin API.
//!
//! Deliberately not here: sending it.

use super::LogsArgs;
use crate::admin::escape::query as encode;

/// Most records of one page of the admin API.
const PAGE_MAX: u32 = 1_000;

/// The record that was named, if one was.
pub(super) fn one(args: &LogsArgs) -> Option<String> {
    let named = args.record.as_ref().or(args.request_id.as_ref())?;
    Some(format!("/v1/records/{}", encode(named)))
}

/// A page of at most `limit` records, those before `before`.
pub(super) fn page(args: &LogsArgs, limit: u32, before: Option<u64>) -> String {
    let mut pairs = filters(args);
    pairs.extend(args.since.map(|ms| ("since", format!("{ms}ms"))));
    pairs.push(("limit", limit.clamp(1, PAGE_MAX).to_string()));
    pairs.extend(before.map(|before| ("before", before.to_string())));
    target(&pairs)
}

/// Everything that comes after a sequence, as it comes.
pub(super) fn follow(args: &LogsArgs, after: u64) -> String {
    let mut pairs = filters(args);
    pairs.push(("follow", "1".to_owned()));
    pairs.push(("after", after.to_string()));
    target(&pairs)
}

fn filters(args: &LogsArgs) -> Vec<(&'static str, String)> {
    let texts = [
        ("tenant", &args.tenant),
        ("app", &args.app),
        ("key", &args.key),
        ("model", &args.model),
        ("provider", &args.provider),
        ("outcome", &args.outcome),
        ("fault", &args.fault),
    ];
    let mut pairs: Vec<_> = texts
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.clone()?)))
        .collect();
    pairs.extend(args.status.map(|status| {
        let text = if status.from == status.to {
            status.from.to_string()
        } else {
            format!("{}xx", status.from / 100)
        };
        ("status", text)
    }));
    pairs
}

fn target(pairs: &[(&str, String)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("{name}={}", encode(value)));
    format!("/v1/records?{}", pairs.collect::<Vec<_>>().join("&"))
}
