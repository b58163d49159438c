//! Cases: verified tokens that are shown again.

use super::*;

struct Case {
    issuers: Issuers,
    keys: KeySets,
    plan: Arc<str>,
    memory: Memory,
}

impl Case {
    fn new() -> Self {
        Self {
            issuers: issuers(),
            keys: key_sets(),
            plan: "plan-1".into(),
            memory: Memory::default(),
        }
    }

    fn ask(&mut self, token: &str, now_s: u64) -> Result<Arc<Consumer>, Box<Unaccepted>> {
        let readings = Readings {
            keys: &self.keys,
            now_s,
            plan: &self.plan,
        };
        self.issuers.identify(token, readings, &mut self.memory)
    }
}

#[test]
fn a_token_is_verified_once() {
    let mut case = Case::new();
    let token = token(json!({}), json!({}));
    let first = case.ask(&token, NOW).expect("good");
    let second = case.ask(&token, NOW + 1).expect("good");
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(case.memory.len(), 1);
    assert!(
        case.ask(&token, NOW + 660).is_err(),
        "not beyond its end and the skew"
    );
    assert!(case.ask("a.b.c", NOW).is_err());
    assert_eq!(case.memory.len(), 1, "what is refused is not remembered");
}

#[test]
fn nothing_is_remembered_over_a_new_plan_or_withdrawn_keys() {
    let mut case = Case::new();
    let token = token(json!({}), json!({}));
    let first = case.ask(&token, NOW).expect("good");
    case.plan = "plan-2".into();
    case.issuers.0[0].claims.tenant = NameFrom::Fixed("other".into());
    let second = case.ask(&token, NOW).expect("good");
    assert_eq!((&*first.tenant, &*second.tenant), ("acme", "other"));
    // The same keys again change nothing; their withdrawal does.
    // Both plans may be in force at once.
    case.plan = "plan-1".into();
    let again = case.ask(&token, NOW).expect("good");
    assert!(Arc::ptr_eq(&first, &again));
    let id = source().id().clone();
    let number = case.keys.number();
    case.keys = case.keys.with(id.clone(), held(&jwks()));
    assert_eq!(case.keys.number(), number);
    let mut fewer = jwks();
    fewer["keys"].as_array_mut().expect("keys").remove(1);
    case.keys = case.keys.with(id, held(&fewer));
    let refused = case.ask(&token, NOW + 4).expect_err("its key is withdrawn");
    assert_eq!(refused.fault.status(), 401);
}

#[test]
fn remembered_tokens_need_current_keys_too() {
    let mut case = Case::new();
    let token = token(json!({}), json!({"exp": NOW + 100_000}));
    case.ask(&token, NOW).expect("good");
    let down = case
        .keys
        .of(source().id())
        .settle(Err("it is down".into()), NOW + 600);
    case.keys = case.keys.with(source().id().clone(), down);
    assert!(
        case.ask(&token, NOW + 3_600).is_ok(),
        "the last good set counts"
    );
    let refused = case.ask(&token, NOW + 3_601).expect_err("it is too old");
    assert_eq!(refused.fault.status(), 503);
    assert_eq!(refused.fault.origin, Origin::Gateway);
    assert!(refused.fault.private.contains("it is down"));
}

#[test]
fn the_memory_is_bounded() {
    let mut memory = Memory::default();
    let consumer = Arc::new(Consumer::new("a", "b", "c"));
    for nth in 0..20_000_u32 {
        let digest = blake3::hash(&nth.to_le_bytes());
        memory.keep(&digest, 0, consumer.clone(), NOW);
        assert!(memory.len() <= 8_192);
        assert!(
            memory.known(&digest, NOW - 1).is_some(),
            "the last one is there"
        );
    }
    assert!(!memory.is_empty());
}
