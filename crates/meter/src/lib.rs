//! What calls cost and how much may be spent: money, prices, and (as they
//! come) limits and budgets. Pure arithmetic in integers.
//!
//! Deliberately not here: where counters live (`store`), when they are asked
//! (`flow`), and how anything is written down (`plan`, `evidence`).

pub mod money;
pub mod prices;

pub use money::{Money, MoneyError};
pub use prices::{PriceBook, Prices};
