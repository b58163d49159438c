//! Where servers of this format depart from it, as the catalog of providers
//! says.
//!
//! Deliberately not here: which server does.

use crate::dialect::Quirks;
use crate::json::Json;
use crate::splice::{self, Edit};

/// The vendor's own name for the cap on output tokens.
pub(super) const OUTPUT_CAP: &str = "max_completion_tokens";
/// Every name of it, the older one too.
const OUTPUT_CAPS: [&str; 2] = [OUTPUT_CAP, "max_tokens"];

/// See [`crate::Dialect::fit`].
pub(super) fn fit(body: Json<'_>, quirks: Quirks) -> Vec<Edit> {
    let Some(known) = quirks.output_cap else {
        return Vec::new();
    };
    let mut own = None;
    let mut foreign = None;
    for member in body.members() {
        if member.is(known) {
            own = Some(member);
        } else if OUTPUT_CAPS.iter().any(|name| member.is(name)) {
            foreign = Some(member);
        }
    }
    let Some(foreign) = foreign else {
        return Vec::new();
    };
    let Some(own) = own else {
        let name = crate::json::string(known);
        return vec![splice::replace(foreign.key, name)];
    };
    // Of two caps the smaller one counts.
    let smaller = match (own.value.u64(), foreign.value.u64()) {
        (Some(own), Some(foreign)) => foreign < own,
        (own, foreign) => own.is_none() && foreign.is_some(),
    };
    let value = smaller.then(|| splice::replace(own.value, foreign.value.raw().to_owned()));
    let gone = splice::remove(body, &foreign.name());
    value.into_iter().chain(gone).collect()
}
