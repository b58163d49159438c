//! The order of addresses and the bound of the memory; no name is resolved.

use std::net::IpAddr;
use std::time::Duration;

use super::{Addresses, Resolver, by_turns};

fn addresses(list: &[&str]) -> Addresses {
    list.iter().map(|text| text.parse().unwrap()).collect()
}

#[test]
fn families_take_turns() {
    let found = addresses(&["::1", "::2", "::3", "1.1.1.1"]);
    let mixed = by_turns(found.into_iter().map(|ip: IpAddr| (ip, 0).into()));
    assert_eq!(mixed, addresses(&["::1", "1.1.1.1", "::2", "::3"]));
    assert!(by_turns(std::iter::empty()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn names_are_remembered_within_bounds_and_for_their_time() {
    let resolver = Resolver::new(Duration::from_secs(5), 1);
    let one = addresses(&["1.1.1.1"]);
    resolver.remember("a", &one);
    resolver.remember("b", &one);
    assert_eq!(resolver.recall("a"), Some(one.clone()));
    assert_eq!(resolver.recall("b"), None);
    tokio::time::advance(Duration::from_secs(6)).await;
    assert_eq!(resolver.recall("a"), None);
    resolver.remember("b", &one);
    assert_eq!(resolver.recall("b"), Some(one));
}

#[tokio::test]
async fn addresses_are_taken_as_they_are() {
    let resolver = Resolver::new(Duration::from_secs(5), 1);
    assert_eq!(resolver.resolve("::1").await.unwrap(), addresses(&["::1"]));
}
