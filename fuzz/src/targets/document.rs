//! Configuration documents: anything may stand in the file, and every answer is a list of
//! diagnostics that can be shown.

use plan::Sources;

struct Nothing;

impl Sources for Nothing {
    fn env(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &str) -> Result<String, String> {
        Err("there is none".to_owned())
    }
}

/// A text that somebody saved as a configuration.
pub(super) fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Err(diagnostics) = plan::read(text, &Nothing) {
        assert!(!diagnostics.is_empty(), "refused without a reason");
        let shown = plan::render(&diagnostics, "tollgate.yaml", false);
        assert!(!shown.is_empty());
        let _ = plan::to_json(&diagnostics);
    }
}
