//! Reports: what was spent, when budgets run out, how a provider's own figures
//! differ from ours, what history costs at other prices. Pure, in integers.
//!
//! Deliberately not here: reading records and counters (`store`, `meter`), and
//! who may see what (`admin`).

pub mod budgets;
pub mod cell;
pub mod focus;
pub mod forecast;
pub mod reconcile;
pub mod reprice;
pub mod spend;

pub use budgets::{Budgets, budgets};
pub use cell::{Cell, Table};
pub use forecast::{Forecast, forecast};
pub use meter::{Level, Measure, Span};
pub use reprice::{Repricing, prices_of};
