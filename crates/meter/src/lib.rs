//! What calls cost and how much may be spent: money, prices, limits and
//! budgets. Pure arithmetic in integers.
//!
//! Deliberately not here: where counters live (`store`), when they are asked
//! (`flow`), and how anything is written down (`plan`, `evidence`).

pub mod book;
pub mod bound;
pub mod brakes;
pub mod counters;
pub mod effects;
pub mod learned;
pub mod money;
pub mod prices;
pub mod quota;
pub mod quotas;
pub mod subject;
pub mod vocabulary;
pub mod window;

pub use book::{Admitted, Book, Breach, Draw, Draws, Level, Refused, Want};
pub use brakes::ReasoningBrake;
pub use counters::{Counters, LocalCounters};
pub use effects::{Reached, reached};
pub use learned::{Learned, TokenFactor};
pub use money::{Money, MoneyError};
pub use prices::{PriceBook, Prices};
pub use quota::{
    Action, Amounts, Hold, Measure, Override, Pace, Queue, Quota, QuotaKind, QuotaSpec, Scope,
    Threshold, Usual,
};
pub use quotas::{Mine, Quotas, Wants};
pub use subject::{Attempted, Dimension, Subject};
pub use vocabulary::Vocabulary;
pub use window::{CalendarUnit, Span, Window};
