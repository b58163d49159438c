//! Where limits and budgets are counted.

use super::{Fake, good, try_with};

const SHARED: &str = "
counters:
  backend: valkey
  url: rediss://:a-secret-word@counters.example:6379/
  group: eu
  deadline: 20ms
  lease: 5s
  on_unavailable: open
  allowance_percent: 7
";

#[test]
fn counters_are_local_unless_that_is_said() {
    let (_, compiled) = good("{}");
    assert_eq!(compiled.counters, None);

    let (_, compiled) = good(SHARED);
    let shared = compiled.counters.as_ref().expect("it is said");
    assert!(shared.url.expose().contains("a-secret-word"));
    assert_eq!((&*shared.group, shared.deadline_ms), ("eu", 20));
    assert_eq!((shared.lease_ms, shared.open_percent), (5_000, Some(7)));
    assert!(!format!("{compiled:?}").contains("a-secret-word"));

    let (_, closed) = good(&SHARED.replace("open", "closed"));
    assert_eq!(closed.restart_only(&compiled), ["counters"]);
    let closed = closed.counters.expect("it is said");
    assert_eq!(closed.open_percent, None);
}

#[test]
fn what_cannot_be_shared_is_said_with_what_to_write() {
    let bad = [
        ("counters: {backend: valkey}", "counters.url"),
        (
            "counters: {backend: valkey, url: 'http://h'}",
            "counters.url",
        ),
        (
            "counters: {backend: valkey, url: 'redis://h', group: 'a{b}'}",
            "counters.group",
        ),
        (
            "counters: {backend: valkey, url: 'redis://h', deadline: 10s}",
            "counters.deadline",
        ),
        (
            "counters: {backend: valkey, url: 'redis://h', lease: 10ms}",
            "counters.lease",
        ),
        (
            "counters: {backend: valkey, url: 'redis://h', allowance_percent: 0}",
            "counters.allowance_percent",
        ),
    ];
    for (text, path) in bad {
        let found = try_with(text, &Fake::default()).expect_err(text);
        assert!(found.iter().any(|it| it.path == path), "{text}: {found:?}");
    }
    let (_, compiled) = good("counters: {url: 'redis://h'}");
    let paths = compiled.warnings.iter().map(|it| it.path.as_str());
    assert!(paths.into_iter().any(|path| path == "counters.url"));
}
