//! Requests of any dialect: the survey and the reading agree, and whatever is read is written as
//! JSON in every dialect.

use super::calls;

/// A body that the survey and the reader take.
pub(super) fn run(data: &[u8]) {
    let Some((dialect, choice, body)) = calls::chosen(data) else {
        return;
    };
    let Some(doc) = calls::doc(&body) else {
        return;
    };
    let route = calls::route(dialect, choice);
    let survey = dialect.survey(&route, doc.root());
    let read = dialect.read_request(&route, doc.root());
    if let (Ok(survey), Ok(request)) = (&survey, &read) {
        assert_eq!(survey.model, request.model, "two models in {doc:?}");
        assert_eq!(survey.stream, request.stream, "two stream flags in {doc:?}");
    }
    if let Ok(survey) = &survey {
        if let Some(span) = &survey.model_span {
            let place = &body[span.clone()];
            assert!(
                place.starts_with(b"\"") && place.ends_with(b"\""),
                "{place:?}"
            );
        }
    }
    if let Ok(request) = read {
        calls::write_everywhere(&request);
    }
}
