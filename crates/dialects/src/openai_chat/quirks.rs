//! Where servers of this format depart from it, as the catalog of providers
//! says.
//!
//! Deliberately not here: which server does.

use crate::dialect::{Fit, GATEWAY_FIELD};
use crate::json::Json;
use crate::splice::{self, Edit};

/// The vendor's own name for the cap on output tokens.
pub(super) const OUTPUT_CAP: &str = "max_completion_tokens";
/// Every name of it, the older one too.
pub(super) const OUTPUT_CAPS: [&str; 2] = [OUTPUT_CAP, "max_tokens"];

/// See [`crate::Dialect::fit`].
pub(super) fn fit(body: Json<'_>, fit: Fit) -> Vec<Edit> {
    let mut gone = Vec::new();
    if fit.strip {
        gone.push(GATEWAY_FIELD);
    }
    if fit.quirks.usage_unasked {
        // A caller who asked for usage gets it all the same.
        gone.push("stream_options");
    }
    let mut edits = match (fit.quirks.output_cap, fit.output_tokens_max) {
        (Some(known), most) => one_cap(body, known, most, &mut gone),
        (None, Some(most)) => splice::cap(body, &OUTPUT_CAPS, most),
        (None, None) => Vec::new(),
    };
    // What goes is taken out at once, because it may stand side by side.
    if !gone.is_empty() {
        edits.extend(splice::remove_all(body, &gone));
    }
    edits
}

/// Leaves one cap on the output, under the name that the server knows.
fn one_cap(
    body: Json<'_>,
    known: &'static str,
    most: Option<u64>,
    gone: &mut Vec<&'static str>,
) -> Vec<Edit> {
    let find = |name: &str| body.members().find(|member| member.is(name));
    let others = || OUTPUT_CAPS.into_iter().filter(|name| *name != known);
    let foreign = others().find_map(|name| Some((name, find(name)?)));
    let Some((name, foreign)) = foreign else {
        return match most {
            Some(most) => splice::cap(body, &[known], most),
            None => Vec::new(),
        };
    };
    let Some(own) = find(known) else {
        let name = crate::json::string(known);
        let mut edits = vec![splice::replace(foreign.key, name)];
        if let Some(most) = most.filter(|most| foreign.value.u64().is_none_or(|told| told > *most))
        {
            edits.push(splice::replace(foreign.value, most.to_string()));
        }
        return edits;
    };
    gone.push(name);
    // Of several caps the smallest one counts.
    let caps = [foreign.value.u64(), most];
    let smallest = caps.into_iter().flatten().min();
    let Some(smallest) = smallest else {
        return Vec::new();
    };
    let is_smaller = own.value.u64().is_none_or(|own| smallest < own);
    let value = is_smaller.then(|| splice::replace(own.value, smallest.to_string()));
    value.into_iter().collect()
}
