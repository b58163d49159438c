//! Cases of prices. Expected amounts were computed by hand from the vendors'
//! price lists, never by this code.

mod catalog;
mod cost;
mod find;
mod form;
mod worst;

use std::sync::Arc;

use super::*;
use crate::Money;

/// A day on which the cases happen.
const NOW: &str = "2026-11-21";

fn money(text: &str) -> Money {
    Money::parse(text).expect("an amount")
}

/// A book whose built-in catalog is this text.
fn book(text: &str, overrides: Vec<Override>) -> PriceBook {
    let catalog = Catalog::parse(&format!("{FORMAT}\n{text}")).expect("a catalog");
    PriceBook::over(Arc::new(catalog), None, overrides)
}

fn query<'a>(kind: &'a str, model: &'a str) -> Query<'a> {
    Query {
        provider: kind,
        kind,
        model,
        region: None,
        tenant: None,
        at_s: day(NOW).expect("a day"),
    }
}

/// The price that this text tells.
fn price(text: &str) -> Price {
    let book = book(&format!("provider acme\nm {text}\n"), Vec::new());
    book.find(&query("acme", "m")).expect("a price").price
}
