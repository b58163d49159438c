//! What servers of the two sibling formats report beside the tokens: searches
//! of the web, seconds of audio, and what they charged.

use contract::Usage;

use crate::figures::Figures;
use crate::json::{Json, Kind};

/// Takes a member of a usage object, if it is one of those.
pub(crate) fn take(name: &[u8], value: Json<'_>, split: &mut Usage, figures: &mut Figures) {
    match name {
        b"cost" if value.kind() == Kind::Object => {
            let total = value.get("total_cost");
            split.told_cost_nanos = total.and_then(|total| figures.dollars(total));
        }
        b"cost" => split.told_cost_nanos = figures.dollars(value),
        b"cost_in_usd_ticks" => split.told_cost_nanos = figures.ticks(value),
        b"prompt_audio_seconds" => split.audio_seconds = figures.part(value),
        b"num_search_queries" => searched(split, figures.part(value)),
        b"server_tool_use" => {
            let count = value.get("web_search_requests");
            searched(split, count.map_or(0, |count| figures.part(count)));
        }
        b"server_side_tool_usage_details" => {
            let counts = ["web_search_calls", "x_search_calls"].map(|key| value.get(key));
            let calls = counts.into_iter().flatten();
            let sum = calls.fold(0_u64, |sum, count| sum.saturating_add(figures.part(count)));
            searched(split, sum);
        }
        _ => {}
    }
}

fn searched(split: &mut Usage, count: u64) {
    split.web_searches = split.web_searches.max(count);
}
