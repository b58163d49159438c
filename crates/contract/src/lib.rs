//! The shared words of Tollgate: request, event, answer, usage, fault, model
//! card, and the seams through which the pure rooms touch the world.
//!
//! Deliberately not here: any wire format, any serialization, any IO, any
//! vendor. Types of this room are not serializable (law 4 of the house);
//! wire, configuration and evidence each own their formats.

pub mod answer;
pub mod chat;
pub mod event;
pub mod fault;
pub mod glob;
pub mod model;
pub mod request;
pub mod seams;
pub mod secret;
pub mod text;
pub mod usage;

pub use answer::{Answer, ChatAnswer, Choice, CountAnswer, EmbedAnswer};
pub use chat::{Chat, Part, PartKind, Role, Turn};
pub use event::{Delta, Event, PartHead};
pub use fault::{Fault, FaultKind, Loss, Origin, Retry};
pub use model::{Capabilities, DialectId, ModelCard};
pub use request::{Operation, Request, Task};
pub use secret::Secret;
pub use text::RawJson;
pub use usage::{ServiceTier, Usage, UsageSource};
