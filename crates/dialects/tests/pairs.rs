//! Every dialect against every other one, over every fixture in the
//! repository and a set of canonical requests and answers: what a translation
//! drops is declared, and what it can keep it keeps byte for byte.
//!
//! The dialects come from the registry and the fixtures from the folder, so a
//! new one of either is covered without a line here. Deliberately not here:
//! what a single dialect's words look like, which its own tests say.

#[path = "pairs/account.rs"]
mod account;
#[path = "pairs/answer_leaves.rs"]
mod answer_leaves;
#[path = "pairs/answer_matrix.rs"]
mod answer_matrix;
#[path = "pairs/answers.rs"]
mod answers;
#[path = "pairs/bodies.rs"]
mod bodies;
#[path = "pairs/drive.rs"]
mod drive;
#[path = "pairs/echo.rs"]
mod echo;
#[path = "pairs/faults.rs"]
mod faults;
#[path = "pairs/fixtures.rs"]
mod fixtures;
#[path = "pairs/loss_table.rs"]
mod loss_table;
#[path = "../../gate/tests/page/mod.rs"]
mod page;
#[path = "pairs/pass_through.rs"]
mod pass_through;
#[path = "pairs/replay.rs"]
mod replay;
#[path = "pairs/request_leaves.rs"]
mod request_leaves;
#[path = "pairs/request_matrix.rs"]
mod request_matrix;
#[path = "pairs/requests.rs"]
mod requests;
#[path = "pairs/settings.rs"]
mod settings;
#[path = "pairs/usage.rs"]
mod usage;
