//! The table of factors.

use std::sync::Arc;

use super::*;

const MODEL: (&str, &str) = ("acme", "m-1");

#[test]
fn a_factor_is_of_a_model_at_a_provider_and_of_a_kind_of_count() {
    let factors = Factors::default();
    for _ in 0..40 {
        factors.learn(MODEL, Estimator::Words, 150, 100);
        factors.learn(("acme", "m-2"), Estimator::Words, 50, 100);
    }
    let of = |model, by| factors.of(model, by).map(|it| it.of(100));
    assert_eq!(of(MODEL, Estimator::Words), Some(150));
    assert_eq!(of(("acme", "m-2"), Estimator::Words), Some(50));
    assert_eq!(of(MODEL, Estimator::Bytes), None);
    assert_eq!(of(("acm", "em-1"), Estimator::Words), None);
}

#[test]
fn a_full_table_learns_no_further_model_and_keeps_the_others() {
    let factors = Factors::default();
    let names: Vec<String> = (0..4 * MODELS_MAX).map(|nth| format!("m{nth}")).collect();
    for _ in 0..20 {
        for name in &names {
            factors.learn(("acme", name), Estimator::Bytes, 150, 100);
        }
    }
    let of = |name: &String| factors.of(("acme", name), Estimator::Bytes);
    let known = names.iter().filter_map(of);
    assert!(known.clone().all(|factor| factor.of(100) == 150));
    let known = known.count();
    assert!((MODELS_MAX / 2..=MODELS_MAX).contains(&known), "{known}");
}

#[test]
fn workers_learn_together() {
    let factors = Arc::new(Factors::default());
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let factors = factors.clone();
            std::thread::spawn(move || {
                for _ in 0..1_000 {
                    factors.learn(MODEL, Estimator::Seen, 120, 100);
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("it ends");
    }
    let factor = factors.of(MODEL, Estimator::Seen).expect("learned");
    assert_eq!(factor.of(1_000), 1_200);
}
