//! What is passed over ends where the decoder says that it ends.

use proptest::prelude::*;

use super::*;
use crate::tests::sample;

/// Where the decoder that reads what it passes says that the item ends.
fn told(bytes: &[u8]) -> Option<usize> {
    let mut d = Decoder::new(bytes);
    d.skip().ok().map(|()| d.position())
}

#[test]
fn records_are_passed_over_whole() {
    for record in [sample::full(), sample::usual(), sample::metered()] {
        let mut bytes = record.encode();
        let end = bytes.len();
        bytes.extend([0x18; 9]);
        assert_eq!(end_of(&bytes, 0), Some(end));
        for cut in 0..end {
            assert_eq!(end_of(&bytes[..cut], 0), None, "cut at {cut}");
        }
    }
}

#[test]
fn items_of_every_kind_end_where_they_end() {
    let cases: [&[u8]; 12] = [
        &[0x17],
        &[0x1b, 0, 0, 0, 0, 0, 0, 1, 0],
        &[0x38, 200],
        &[0x42, 1, 2],
        &[0x63, b'a', b'b', b'c'],
        &[0x80],
        &[0x82, 0x01, 0x81, 0xa0],
        &[0x9f, 0x9f, 0xff, 0x01, 0xff],
        &[0xa1, 0x00, 0x9f, 0xff],
        &[0xbf, 0x00, 0xa1, 0x01, 0x60, 0xff],
        &[0xc1, 0x1a, 1, 2, 3, 4],
        &[0xfb, 0, 0, 0, 0, 0, 0, 0, 0],
    ];
    for case in cases {
        let followed = [case, &[0x00, 0xff]].concat();
        assert_eq!(end_of(&followed, 0), Some(case.len()), "{case:x?}");
        assert_eq!(told(&followed), Some(case.len()), "{case:x?}");
    }
}

/// Chunks, deep nesting and damage.
#[test]
fn what_is_not_plain_is_left_to_the_decoder() {
    let deep = [vec![0x81; DEPTH_MAX + 1], vec![0x00]].concat();
    for case in [&[0x7f, 0x61, b'a', 0xff][..], &deep] {
        assert_eq!(end_of(case, 0), None);
        let mut d = Decoder::new(case);
        over(&mut d).expect("an item");
        assert_eq!(d.position(), case.len());
    }
    assert!(over(&mut Decoder::new(&[0x5b; 9])).is_err());
    for case in [&[][..], &[0xff], &[0x5b; 9], &[0x1f], &[0x82, 0x00, 0xff]] {
        assert_eq!(end_of(case, 0), None, "{case:x?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Of any bytes: what the decoder passes over, this does too, or leaves it
    /// to the decoder.
    #[test]
    fn it_agrees_with_the_decoder(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        if let (Some(told), Some(end)) = (told(&bytes), end_of(&bytes, 0)) {
            prop_assert_eq!(end, told);
        }
    }
}
