//! Cases of request ids.

use super::*;

#[test]
fn the_fields_are_where_rfc_9562_puts_them() {
    // The example of RFC 9562, appendix A.6, has ms 0x017F22E279B0.
    let id = RequestId::mint(0x017F_22E2_79B0 * 1_000, 0x18C4_DC0C_0C07_398F);
    assert_eq!(id.text().as_str(), "017f22e2-79b0-7000-98c4-dc0c0c07398f");
}

#[test]
fn ids_sort_by_time_within_a_millisecond() {
    let early = RequestId::mint(1_700_000_000_000_100, u64::MAX);
    let late = RequestId::mint(1_700_000_000_000_900, 0);
    assert!(early < late);
    assert!(early.text().as_str() < late.text().as_str());
}

#[test]
fn the_text_reads_back_with_and_without_hyphens() {
    let id = RequestId::mint(1_763_000_000_123_456, 0x0123_4567_89ab_cdef);
    let text = id.to_string();
    assert_eq!(text.parse(), Ok(id));
    assert_eq!(text.replace('-', "").to_uppercase().parse(), Ok(id));
    for bad in [
        "",
        "-",
        "x",
        &text[1..],
        &format!("{text}0"),
        &text.replace('7', "g"),
    ] {
        assert_eq!(bad.parse::<RequestId>(), Err(NotAnId), "{bad}");
    }
}

#[test]
fn a_sample_is_about_one_in_n_and_always_the_same() {
    let ids: Vec<_> = (0..10_000)
        .map(|i| RequestId::mint(1_700_000_000_000_000, i))
        .collect();
    let picked = ids.iter().filter(|id| id.sampled(10)).count();
    assert!((800..1_200).contains(&picked), "{picked}");
    assert!(ids.iter().all(|id| id.sampled(1) && !id.sampled(0)));
}
