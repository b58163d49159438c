//! Preparing a call: same dialect by splicing, another by translation.

use std::sync::Arc;

use contract::seams::{Endpoint, Outbound, Pieces};
use contract::{Fault, Loss, Operation, Task};
use dialects::carry;
use dialects::splice::{self, Edit};
use dialects::{Call, Dialect, Fit, Quirks, Target};
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue};
use plan::{LossPolicy, ProviderPlan};
use providers::Readings;
use routing::Candidate;

use crate::asking::Asking;
use crate::exchange::Exchange;
use crate::reply::JSON;

const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("tollgate/", env!("CARGO_PKG_VERSION")));

/// What must be known of a call when its answer comes.
pub(crate) struct Prepared {
    /// The dialect that the upstream is spoken to in.
    pub(crate) dialect: &'static dyn Dialect,
    /// The same as the caller's: bytes pass untouched.
    pub(crate) same: bool,
    /// We made the upstream report usage in the stream: leave it out again.
    pub(crate) hide_usage: bool,
    /// What the translation of the request lost.
    pub(crate) losses: Vec<Loss>,
}

impl Exchange {
    /// Prepares the call of a candidate in a dialect that it speaks.
    pub(crate) fn prepare(
        &self,
        asking: &mut Asking<'_>,
        candidate: &Candidate,
        provider: &ProviderPlan,
        dialect: &'static dyn Dialect,
    ) -> Result<(Outbound, Prepared), Fault> {
        let same = dialect.id() == self.dialect.id();
        let stream = asking.survey.stream;
        let quirks = provider.kind.quirks;
        let asks = asking.survey.ask_usage.is_some() && !quirks.usage_unasked;
        let hide_usage = same && stream && asks;
        let (body, losses) = if same && !carry::may_carry(asking.doc) {
            (
                self.splice_body(asking, candidate, (dialect, quirks)),
                Vec::new(),
            )
        } else {
            self.translate(asking, candidate, (dialect, quirks))?
        };
        let call = Call {
            operation: self.route.operation,
            model: &candidate.model,
            stream,
            variant: if same { self.route.variant } else { 0 },
            query: if same { self.head.uri.query() } else { None },
        };
        let destination = dialect.destination(&call);
        let mut headers = usual_headers(dialect, stream);
        if same {
            forward(dialect, &self.head.headers, &mut headers);
        }
        for (name, value) in destination.headers {
            headers.entry(name).or_insert(value);
        }
        for (name, value) in &provider.headers {
            headers.insert(name, value.clone());
        }
        let path = match provider.base_path.as_str() {
            "" => destination.path,
            base => format!("{base}{}", destination.path),
        };
        let mut outbound = Outbound {
            endpoint: endpoint(provider)?,
            method: destination.method,
            path,
            headers,
            body,
            head_ms: provider.times.head_ms,
        };
        let loans = self.flow.loans.load();
        let readings = Readings {
            unix_us: self.flow.clock.unix_us(),
            loans: &loans,
        };
        provider
            .kind
            .provider
            .authorize(&provider.account, &mut outbound, readings)?;
        Ok((
            outbound,
            Prepared {
                dialect,
                same,
                hide_usage,
                losses,
            },
        ))
    }

    /// Reads the canonical request, if nobody has yet, and holds it to the
    /// cap on its output.
    pub(crate) fn read<'a>(
        &self,
        asking: &'a mut Asking<'_>,
    ) -> Result<&'a contract::Request, Fault> {
        if asking.canonical.is_none() {
            asking.canonical = Some(self.dialect.read_request(&self.route, asking.doc.root())?);
        }
        let request = asking.canonical.as_mut().expect("it was just read");
        if let (Some(most), Task::Chat(chat)) = (self.output_cap, &mut request.task) {
            let most = u32::try_from(most).unwrap_or(u32::MAX);
            let own = chat.output_tokens_max.unwrap_or(u32::MAX);
            chat.output_tokens_max = Some(own.min(most));
        }
        if let (Some(most), Task::Chat(chat)) = (self.bounds.reasoning, &mut request.task)
            && let Some(budget) = chat
                .reasoning
                .as_mut()
                .and_then(|it| it.budget_tokens.as_mut())
        {
            *budget = (*budget).min(u32::try_from(most).unwrap_or(u32::MAX));
        }
        Ok(request)
    }

    /// The caller's own bytes, but for the spans that change.
    fn splice_body(
        &self,
        asking: &Asking<'_>,
        candidate: &Candidate,
        (dialect, quirks): (&dyn Dialect, Quirks),
    ) -> Pieces {
        let survey = &asking.survey;
        let mut edits = Vec::new();
        if let Some(span) = survey.model_span.clone()
            && *survey.model != *candidate.model
        {
            let with = dialects::json::string(&candidate.model).into();
            edits.push(Edit { span, with });
        }
        if let Some(at) = survey.model_at {
            let with = format!("\"model\":{},", dialects::json::string(&candidate.model)).into();
            edits.push(Edit { span: at..at, with });
        }
        if *survey.model != *candidate.model {
            edits.extend(dialect.rename_model(asking.doc.root(), &candidate.model));
        }
        if survey.stream && !quirks.usage_unasked {
            edits.extend(survey.ask_usage.clone());
        }
        let is_chat = self.route.operation == Operation::Chat;
        let fit = Fit {
            quirks,
            output_tokens_max: self.output_cap.filter(|_| is_chat),
            reasoning_tokens_max: self.bounds.reasoning,
            strip: survey.gateway.is_some(),
        };
        edits.extend(dialect.fit(asking.doc.root(), fit));
        let body = asking.doc.bytes();
        if edits.is_empty() {
            [body.clone()].into_iter().collect()
        } else {
            splice::apply(body, edits)
        }
    }

    fn translate(
        &self,
        asking: &mut Asking<'_>,
        candidate: &Candidate,
        (dialect, quirks): (&dyn Dialect, Quirks),
    ) -> Result<(Pieces, Vec<Loss>), Fault> {
        self.read(asking)?;
        let request = asking.canonical.as_mut().expect("it was just read");
        request.model = candidate.model.to_string();
        let settings = &self.plan.settings;
        let target = Target {
            card: &candidate.card,
            unsupported: settings.unsupported,
            quirks,
        };
        let written = dialect.write_request(request, &target)?;
        match (settings.losses, written.losses.first()) {
            (LossPolicy::Refuse, Some(loss)) => Err(Fault::unsupported(format!(
                "`{}` cannot be carried to this model: {}. Leave it out, or choose a model whose \
                 provider has it.",
                loss.what, loss.why
            ))
            .at(loss.what.clone())),
            (LossPolicy::Refuse, None) | (LossPolicy::Declare, _) => {
                Ok(([written.body].into_iter().collect(), written.losses))
            }
        }
    }
}

pub(crate) fn usual_headers(dialect: &dyn Dialect, stream: bool) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(8);
    headers.insert(CONTENT_TYPE, JSON);
    let accept = if stream {
        dialect.framing().content_type()
    } else {
        "application/json"
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    headers.insert(USER_AGENT, AGENT);
    headers
}

pub(crate) fn forward(dialect: &dyn Dialect, from: &HeaderMap, to: &mut HeaderMap) {
    for name in dialect.forwarded_headers() {
        for value in from.get_all(name) {
            to.append(name.clone(), value.clone());
        }
    }
}

pub(crate) fn endpoint(provider: &ProviderPlan) -> Result<Arc<Endpoint>, Fault> {
    provider
        .endpoint
        .clone()
        .ok_or_else(|| crate::faults::internal("a provider without an endpoint was called"))
}
