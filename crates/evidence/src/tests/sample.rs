//! Records for tests: one with every field, one as most are.

use contract::{ServiceTier, Usage, UsageSource};
use smallvec::smallvec;

use crate::id::RequestId;
use crate::record::{
    Attempt, AttemptTimes, Candidate, Decision, FaultNote, Identity, LossNote, Outcome, Reading,
    Record, RequestFacts, Reservation, Trace, Value,
};

/// A record as most are: one decision, one attempt, a complete answer.
pub(crate) fn usual() -> Record {
    Record {
        duration_us: 1_234_567,
        overhead_us: Some(48),
        operation: "chat".into(),
        dialect: "openai".into(),
        who: Identity {
            key_id: Some("key_7f3a".into()),
            tenant: Some("acme".into()),
            app: Some("helpdesk".into()),
            ..Identity::default()
        },
        metadata: vec![("user-agent".into(), "openai-python/2.7.1".into())],
        request: RequestFacts {
            model: Some("gpt-5".into()),
            stream: true,
            bytes: 1_032,
            turns: 3,
            input_tokens_estimate: Some(310),
            ..RequestFacts::default()
        },
        plan: Some("9f2c4e1a7b3d9f2c4e1a7b3d9f2c4e1a".into()),
        contract: 1,
        decider: 1,
        decisions: smallvec![Decision {
            stage: "identity".into(),
            verdict: "allow".into(),
            reason: "key_valid".into(),
            ..Decision::default()
        }],
        candidates: smallvec![Candidate {
            provider: "openai".into(),
            model: "gpt-5".into(),
            ..Candidate::default()
        }],
        attempts: smallvec![Attempt {
            provider: "openai".into(),
            model: "gpt-5".into(),
            times: AttemptTimes {
                queued_us: Some(21),
                sent_us: Some(25),
                head_us: Some(310_000),
                first_token_us: Some(340_000),
                last_us: Some(1_234_500),
            },
            status: Some(200),
            upstream_request_id: Some("req_0123456789abcdef".into()),
            committed: true,
            ..Attempt::default()
        }],
        status: 200,
        usage: Usage {
            input: 290,
            cached_read: 12,
            output: 410,
            source: UsageSource::Provider,
            ..Usage::default()
        },
        finish: smallvec!["stop".into()],
        bytes_out: 9_876,
        outcome: Outcome::Complete,
        ..Record::begin(
            RequestId::mint(1_763_000_000_123_456, 42),
            1_763_000_000_123_456,
        )
    }
}

/// A record with what came to usage after version 1 was first committed.
pub(crate) fn metered() -> Record {
    let mut record = usual();
    record.usage = Usage {
        image_out: 10,
        web_searches: 11,
        audio_seconds: 12,
        told_cost_nanos: Some(13),
        tier: Some(ServiceTier::Flex),
        flawed: true,
        source: UsageSource::ProviderInput,
        ..record.usage
    };
    record
}

/// A record with every field of version 1.
pub(crate) fn full() -> Record {
    let mut record = first();
    record.attempts[0].cost_nanos = Some(9);
    record.reservations = vec![
        Reservation {
            quota: "acme-month".into(),
            kind: "budget".into(),
            measure: "cost".into(),
            scope: "tenant=acme".into(),
            counter: 0x0123_4567_89ab_cdef,
            from_us: 1_763_000_000_000_000,
            until_us: 1_765_000_000_000_000,
            after_us: 60_000_000,
            reserved: 4_000_000,
            settled: Some(-5),
            level: 77,
            limit: 500_000_000_000,
            attempt: Some(1),
        },
        Reservation::default(),
    ];
    record
}

/// A record with every field that the first version had; the golden fixture
/// holds it, so it never changes.
pub(crate) fn first() -> Record {
    let fault = FaultNote {
        kind: "upstream_broken".into(),
        origin: "provider".into(),
        public: "the upstream broke off".into(),
        private: "reset by peer after 312 bytes".into(),
        field: Some("messages[2].content".into()),
    };
    let usage = Usage {
        input: 1,
        cached_read: 2,
        cached_write: 3,
        cached_write_1h: 4,
        output: 5,
        reasoning: 6,
        audio_in: 7,
        audio_out: 8,
        image_in: 9,
        source: UsageSource::Estimated,
        ..Usage::default()
    };
    let mut record = usual();
    record.path = Some("POST /v1/nowhere".into());
    record.who.use_case = Some("triage".into());
    record.who.user = Some("Zoë".into());
    record.request.tools = 4;
    record.request.output_tokens_max = Some(4_096);
    let decision = &mut record.decisions[0];
    decision.rule = Some("eu-only".into());
    decision.mode = "shadow".into();
    decision.readings = vec![
        Reading {
            name: "wall_us".into(),
            value: Value::Int(-1_763_000_000_123_456),
        },
        Reading {
            name: "region".into(),
            value: Value::Word("eu".into()),
        },
    ];
    record.candidates[0].score = Some(-3);
    record.candidates.push(Candidate {
        provider: "azure".into(),
        model: "gpt-5".into(),
        excluded: Some("breaker_open".into()),
        score: None,
    });
    record.attempts.insert(
        0,
        Attempt {
            provider: "azure".into(),
            model: "gpt-5".into(),
            account: Some("north".into()),
            leg: "hedge".into(),
            status: Some(502),
            fault: Some(fault.clone()),
            usage: Some(usage),
            ..Attempt::default()
        },
    );
    record.fault = Some(fault);
    record.usage = usage;
    record.losses = vec![LossNote {
        what: "seed".into(),
        why: "the target has none".into(),
    }];
    record.outcome = Outcome::Cut;
    record.cost_nanos = Some(-17);
    record.price_version = Some("2025-11".into());
    record.cache = Some("miss".into());
    record.trace = Some(Trace {
        trace_id: [0xab; 16],
        span_id: [0xcd; 8],
        parent_id: [0xef; 8],
        sampled: true,
    });
    record.clipped = 2;
    record
}
