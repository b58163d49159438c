//! Cases of values: what is allowed, and its normal form.

use super::*;

fn said(field: Field, text: &str) -> Result<String, String> {
    normal(field, text, &CURRENT, &Settings::default())
}

#[test]
fn values_have_one_normal_form() {
    let cases = [
        (Field::Quality, " HIGH ", "high"),
        (Field::DataClass, "Restricted", "restricted"),
        (Field::PiiMode, "mask", "mask"),
        (Field::Retention, "none", "none"),
        (Field::MaxTokens, "007", "7"),
        (Field::MaxLatencyMs, "86400000", "86400000"),
        (Field::MaxCost, "0.05", "50000000"),
        (Field::MaxCost, "1", "1000000000"),
        (Field::MaxCost, "0.000000001", "1"),
        (Field::MaxCost, "1e-05", "10000"),
        (Field::MaxCost, "1.50E+1", "15000000000"),
        (Field::MaxCost, "0.0500000000000", "50000000"),
        (Field::Contract, "2026-06-01", "2026-06-01"),
        (Field::Tags, "b = 2, a=1,a=1", "a=1,b=2"),
        (Field::User, "  Zoë 山田 ", "Zoë 山田"),
    ];
    for (field, text, expected) in cases {
        assert_eq!(
            said(field, text).as_deref(),
            Ok(expected),
            "{field:?} {text}"
        );
    }
}

#[test]
fn a_refusal_names_what_is_allowed() {
    let cases = [
        (Field::Quality, "best", "`high`, `standard` or `cheap`"),
        (Field::Retention, "7d", "`none`, `digest` or `full`"),
        (
            Field::PiiMode,
            "no",
            "`block`, `mask`, `hash`, `replace` or `allow`",
        ),
        (
            Field::DataClass,
            "secret",
            "`public`, `internal`, `confidential` or `restricted`",
        ),
        (Field::MaxTokens, "0", "from 1 to 4294967295"),
        (Field::MaxTokens, "-1", "from 1 to"),
        (Field::MaxTokens, "1.5", "from 1 to"),
        (Field::MaxTokens, "99999999999999999999999", "from 1 to"),
        (Field::MaxLatencyMs, "86400001", "from 1 to 86400000"),
        (Field::MaxCost, "0", "US dollars"),
        (Field::MaxCost, "-0.5", "US dollars"),
        (Field::MaxCost, "0.0000000001", "nine decimals"),
        (Field::MaxCost, "1000000.1", "1000000"),
        (Field::MaxCost, "1e99", "US dollars"),
        (Field::MaxCost, "1e-999999999999", "US dollars"),
        (Field::MaxCost, "1.", "US dollars"),
        (Field::MaxCost, ".5", "US dollars"),
        (Field::MaxCost, "NaN", "US dollars"),
        (Field::Contract, "2025-01-01", "`2026-11-01`, `2026-06-01`"),
        (Field::Tags, "a", "key=value"),
        (Field::Tags, "a=1,a=2", "two values"),
        (Field::Tags, "a=", "no value"),
        (Field::Tags, "a b=1", "letters, digits"),
        (Field::User, " ", "empty"),
        (Field::User, "a\nb", "control character"),
        (Field::User, "a\u{85}b", "control character"),
        (Field::Session, "a\u{202e}b", "control character"),
        (Field::UseCase, "a\u{2028}b", "control character"),
    ];
    for (field, text, words) in cases {
        let wrong = said(field, text).expect_err(text);
        assert!(wrong.contains(words), "{field:?} {text}: {wrong}");
    }
}

#[test]
fn lengths_are_bounded() {
    let long = "x".repeat(TEXT_BYTES_MAX);
    assert_eq!(said(Field::User, &long).as_deref(), Ok(&*long));
    for field in Field::ALL {
        let wrong = said(field, &"x".repeat(513)).expect_err("too long");
        assert!(wrong.contains("513 bytes"), "{field:?}: {wrong}");
    }
    let many: Vec<String> = (0..=TAGS_MAX).map(|nth| format!("k{nth}=v")).collect();
    let wrong = said(Field::Tags, &many.join(",")).expect_err("too many");
    assert!(wrong.contains("at most 16"), "{wrong}");
    assert!(said(Field::Tags, &many[1..].join(",")).is_ok());
    // A message repeats only the head of what was wrong.
    let wrong = said(Field::Quality, &"é".repeat(128)).expect_err("no quality");
    assert!(wrong.len() < 256, "{wrong}");
}

#[test]
fn data_classes_are_the_operators() {
    let settings = Settings {
        data_classes: vec!["open".into(), "PHI".into()],
        ..Settings::default()
    };
    let said = |text| normal(Field::DataClass, text, &CURRENT, &settings);
    assert_eq!(said("phi").as_deref(), Ok("PHI"));
    assert!(
        said("public")
            .expect_err("not configured")
            .contains("`open` or `PHI`")
    );
}

#[test]
fn the_older_version_has_words_of_its_own() {
    let old = Version::dated("2026-06-01").expect("a version");
    let said = |text| normal(Field::Quality, text, old, &Settings::default());
    assert_eq!(said("Gold").as_deref(), Ok("high"));
    assert_eq!(said("bronze").as_deref(), Ok("cheap"));
    let wrong = said("high").expect_err("a word of the other version");
    assert!(wrong.contains("`gold`, `silver` or `bronze`"), "{wrong}");
    assert_eq!(old.field("end_user"), Some(Field::User));
    assert_eq!(old.field("user"), None);
    assert_eq!(CURRENT.field("end_user"), None);
}

/// A version's number is its date, and no two names of it mean two fields.
#[test]
fn versions_are_sound() {
    for version in VERSIONS {
        assert_eq!(version.date.replace('-', ""), version.number.to_string());
        for field in Field::ALL {
            let named = version.field(version.name(field));
            assert_eq!(named, Some(field), "{version:?}");
        }
        for (field, words) in version.words {
            for (_, meant) in words.iter().copied() {
                let known = normal(*field, meant, &CURRENT, &Settings::default());
                assert_eq!(known.as_deref(), Ok(meant), "{version:?}");
            }
        }
    }
    assert!(VERSIONS.is_sorted_by(|one, other| one.number > other.number));
}

#[test]
fn a_rollout_is_stable_and_only_grows() {
    let old = Version::dated("2026-06-01").expect("a version");
    let share = |percent| {
        let settings = Settings {
            rollout: Some(Rollout {
                version: old,
                percent,
            }),
            ..Settings::default()
        };
        let drawn = |nth: &u32| settings.version_for("acme", &format!("app-{nth}")) == old;
        (0..2_000).filter(drawn).collect::<Vec<u32>>()
    };
    assert!(share(0).is_empty());
    assert_eq!(share(100).len(), 2_000);
    let (ten, fifty) = (share(10), share(50));
    assert_eq!(ten, share(10), "the same each time");
    assert!((120..=280).contains(&ten.len()), "{}", ten.len());
    assert!((850..=1_150).contains(&fifty.len()), "{}", fifty.len());
    assert!(ten.iter().all(|app| fifty.contains(app)), "it only grows");
}
