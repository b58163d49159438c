//! Responses that were stored, for `previous_response_id` and `GET /responses/{id}`.

use super::fail::{Fail, Kind};
use serde_json::Value;
use std::collections::{HashMap, VecDeque};

/// Stored answers; the oldest leave first.
const STORED_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(crate) struct Stored {
    order: VecDeque<String>,
    answers: HashMap<String, StoredAnswer>,
}

#[derive(Debug, Clone)]
pub(crate) struct StoredAnswer {
    pub(crate) body: Value,
    /// The whole conversation up to and with this answer.
    pub(crate) items: Vec<Value>,
}

impl Stored {
    pub(crate) fn remember(&mut self, whole: &Value, items: Vec<Value>) {
        let id = whole["id"].as_str().unwrap_or_default().to_owned();
        if self.order.len() >= STORED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.answers.remove(&oldest);
        }
        self.order.push_back(id.clone());
        self.answers.insert(
            id,
            StoredAnswer {
                body: whole.clone(),
                items,
            },
        );
    }

    pub(crate) fn recall(&self, id: &str) -> Result<StoredAnswer, Fail> {
        self.answers.get(id).cloned().ok_or_else(|| {
            Fail::new(
                Kind::NotFound,
                format!("Previous response with id '{id}' not found."),
            )
            .param("previous_response_id")
            .code("previous_response_not_found")
        })
    }

    pub(crate) fn forget(&mut self, id: &str) {
        self.answers.remove(id);
    }
}
