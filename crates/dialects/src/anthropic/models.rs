//! Lists of models, and one model.

use bytes::Bytes;
use contract::Operation;

use crate::dialect::{Asked, ModelEntry};
use crate::json::{self, ObjectWriter};

/// See [`crate::Dialect::write_models`].
pub(super) fn write(models: &[ModelEntry<'_>], asked: &Asked<'_>) -> Bytes {
    if let (Operation::GetModel, [model, ..]) = (asked.route.operation, models) {
        return json::object(|out| put(model, out)).into();
    }
    json::object(|out| {
        out.array("data", |array| {
            for model in models {
                array.object(|out| put(model, out));
            }
        });
        out.bool("has_more", false);
        out.str_or_null("first_id", models.first().map(|model| model.id));
        out.str_or_null("last_id", models.last().map(|model| model.id));
    })
    .into()
}

fn put(model: &ModelEntry<'_>, out: &mut ObjectWriter<'_>) {
    out.str("type", "model");
    out.str("id", model.id);
    out.str("display_name", model.id);
    out.str("created_at", &rfc3339(model.created_s));
    // What is listed is served.
    out.str("lifecycle", "active");
    let context = model.card.and_then(|card| card.context_tokens);
    match context {
        Some(tokens) => out.int("max_input_tokens", tokens),
        None => out.null("max_input_tokens"),
    }
    match model.card.and_then(|card| card.output_tokens_max) {
        Some(tokens) => out.int("max_tokens", tokens),
        None => out.null("max_tokens"),
    }
}

/// A moment in RFC 3339, in UTC.
fn rfc3339(unix_s: u64) -> String {
    let (days, second) = (unix_s / 86_400, unix_s % 86_400);
    // Civil date from a count of days, in years that begin on 1 March, so
    // that the leap day is the last of its year.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 {
        month_from_march + 3
    } else {
        month_from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3_600,
        second / 60 % 60,
        second % 60
    )
}

#[cfg(test)]
mod tests {
    //! Dates against known moments.

    #[test]
    fn known_moments() {
        assert_eq!(super::rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(super::rfc3339(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(super::rfc3339(1_709_251_199), "2024-02-29T23:59:59Z");
        assert_eq!(super::rfc3339(1_760_000_461), "2025-10-09T09:01:01Z");
    }
}
