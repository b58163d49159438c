//! Cases of the encoding: it reads back, stays readable, and skips the new.

use proptest::prelude::*;

use super::*;
use crate::tests::sample;

/// A record of encoding version 1 as it was first committed. It is never
/// written again: records of an older version are read for ever.
const GOLDEN_V1: &[u8] = include_bytes!("../../fixtures/record-v1.cbor");

#[test]
fn the_golden_record_of_version_1_reads_as_it_always_did() {
    assert_eq!(Record::decode(GOLDEN_V1).unwrap(), sample::first());
}

#[test]
fn records_read_back() {
    for record in [
        Record::default(),
        sample::full(),
        sample::usual(),
        sample::metered(),
    ] {
        assert_eq!(Record::decode(&record.encode()).unwrap(), record);
        let rows = Record::decode_rows(&record.encode()).unwrap();
        assert_eq!(rows, (record.id, record.reservations.clone()));
    }
}

#[test]
fn a_usual_record_is_compact() {
    let bytes = sample::usual().encode().len();
    assert!(bytes < 450, "{bytes}");
}

/// The same record as a later version might write it: another version, new
/// keys of every shape at every level.
#[test]
fn an_old_reader_skips_what_a_newer_writer_adds() {
    let encoded = sample::usual().encode();
    // After the map's head, the version key and its value.
    assert_eq!(encoded[..3], [0xbf, 0x00, 0x01]);
    let mut newer = vec![0xbf, 0x00, 0x09];
    let mut e = minicbor::Encoder::new(&mut newer);
    e.u64(99)
        .unwrap()
        .map(1)
        .unwrap()
        .str("k")
        .unwrap()
        .array(2)
        .unwrap();
    e.bool(true)
        .unwrap()
        .begin_array()
        .unwrap()
        .f64(0.5)
        .unwrap()
        .end()
        .unwrap();
    e.u64(1_000).unwrap().null().unwrap();
    e.u64(1_001).unwrap().bytes(b"xyz").unwrap();
    newer.extend_from_slice(&encoded[3..]);
    assert_eq!(Record::decode(&newer).unwrap(), sample::usual());
}

/// The numbers are for ever.
#[test]
fn every_outcome_keeps_its_number() {
    for (number, name) in (0u8..).zip([
        "unknown",
        "complete",
        "refused",
        "failed",
        "cut",
        "cancelled",
        "lost",
    ]) {
        let mut payload = Vec::new();
        let mut e = minicbor::Encoder::new(&mut payload);
        e.map(2).unwrap().u64(key::VERSION).unwrap().u64(1).unwrap();
        e.u64(key::OUTCOME).unwrap().u8(number).unwrap();
        let record = Record::decode(&payload).unwrap();
        assert_eq!(record.outcome.name(), name);
        let again = Record::decode(&record.encode()).unwrap();
        assert_eq!(again.outcome, record.outcome);
    }
}

#[test]
fn unknown_codes_read_as_unknown() {
    let mut payload = Vec::new();
    let mut e = minicbor::Encoder::new(&mut payload);
    e.map(3).unwrap().u64(key::VERSION).unwrap().u64(7).unwrap();
    e.u64(key::OUTCOME).unwrap().u64(77).unwrap();
    e.u64(key::USAGE)
        .unwrap()
        .map(1)
        .unwrap()
        .u64(9)
        .unwrap()
        .u64(44)
        .unwrap();
    assert_eq!(Record::decode(&payload).unwrap(), Record::default());
}

#[test]
fn what_is_not_a_record_is_an_error() {
    for payload in [
        &b""[..],
        b"{}",
        b"\xa0",
        b"\xbf\xff",
        b"\xa1\x00",
        &[0xff; 100],
    ] {
        assert!(Record::decode(payload).is_err(), "{payload:?}");
    }
    let whole = sample::full().encode();
    for cut in 0..whole.len() {
        assert!(Record::decode(&whole[..cut]).is_err(), "cut at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_the_reader_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = Record::decode(&bytes);
    }

    #[test]
    fn no_damage_makes_the_reader_panic(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = sample::full().encode();
        let at = at.index(bytes.len());
        bytes[at] = with;
        let _ = Record::decode(&bytes).map(|record| record.to_json());
    }
}
