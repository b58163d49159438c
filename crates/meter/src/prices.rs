//! Prices: what a model costs by class of token, level of context, tier and
//! region, and since when; and where to find it.
//!
//! A [`PriceBook`] holds four layers, and the later ones win: the built-in
//! catalog, a refreshed file, the operator's overrides, and the contract of a
//! tenant. What is found is a [`Price`]: it tells the exact cost of figures,
//! the worst cost within a bound, and the version that a record keeps.
//!
//! An unknown price is `None` and never zero. What `None` leads to is policy:
//! [`Prices`] holds it.
//!
//! Deliberately not here: who pays, and whether they may (`flow`, `judge`).

mod book;
mod catalog;
mod class;
mod date;
mod factor;
mod price;
mod sheet;

pub use book::{
    Effect, Found, Layer, Matched, NoPrice, Override, PriceBook, Prices, Query, Unknown,
};
pub use catalog::{Catalog, CatalogFault, FORMAT, Listed, Source};
pub use class::{Class, Tier, Tiers};
pub use date::{date, day};
pub use factor::Factor;
pub use price::{Bound, Cost, May, Price, Terms};
pub use sheet::{Level, Rates, Sheet, SheetFault};

#[cfg(test)]
mod tests;
