//! What callers may tell: what becomes of it in a plan, and what is said of
//! mistakes.

use access::metadata::{CURRENT, Settings, VERSIONS};

use super::{Fake, good, try_with};
use crate::*;

const OLD: &str = "
metadata:
  data_classes: [open, ' PHI ']
  contract:
    default: 2026-06-01
    rollout: {version: 2026-11-01, percent: 10}
keys:
  - {id: a, secret: tg-0123456789abcdef-a, contract: 2026-06-01}
  - {id: b, secret: tg-0123456789abcdef-b}
";

#[test]
fn metadata_and_versions_are_compiled() {
    let (_, compiled) = good("{}");
    assert_eq!(compiled.plan.metadata, Settings::default());
    assert_eq!(compiled.plan.metadata.contract, &CURRENT);
    assert_eq!(CONTRACT, 20_261_101);

    let (_, compiled) = good(OLD);
    let settings = &compiled.plan.metadata;
    assert_eq!(settings.data_classes, ["open".into(), "PHI".into()]);
    assert_eq!(settings.contract, VERSIONS[1]);
    let rollout = settings.rollout.expect("a share");
    assert_eq!((rollout.version, rollout.percent), (&CURRENT, 10));
    let mut keys: Vec<_> = compiled
        .plan
        .keys
        .consumers()
        .map(|consumer| (&*consumer.key_id, consumer.contract))
        .collect();
    keys.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(keys, [("a", Some(VERSIONS[1])), ("b", None)]);
}

#[test]
fn mistakes_are_named() {
    let text = "
metadata:
  data_classes: [a, '', A]
  contract:
    default: 2026-06-02
    rollout: {version: 2020-01-01, percent: 10}
keys:
  - {id: a, secret: tg-0123456789abcdef-a, contract: '2026'}
";
    let found = try_with(text, &Fake::default());
    let found = found.map(|_| ()).expect_err("mistakes");
    let said: Vec<_> = found
        .iter()
        .map(|it| (it.path.as_str(), it.what.as_str()))
        .collect();
    assert_eq!(
        said,
        [
            (
                "metadata.data_classes[1]",
                "this is no name of a data class"
            ),
            (
                "metadata.data_classes[2]",
                "the data class `A` is there already"
            ),
            (
                "metadata.contract.default",
                "there is no version `2026-06-02` of the contract"
            ),
            (
                "metadata.contract.rollout.version",
                "there is no version `2020-01-01` of the contract"
            ),
            (
                "keys[0].contract",
                "there is no version `2026` of the contract"
            ),
        ]
    );
    assert_eq!(found[2].instead, "write `2026-06-01`");
    for text in [
        "metadata: {data_classes: []}",
        "metadata: {contract: {rollout: {version: 2026-06-01, percent: 101}}}",
        "metadata: {contract: {rollout: {version: 2026-06-01}}}",
    ] {
        assert!(try_with(text, &Fake::default()).is_err(), "{text}");
    }
}
