//! `fake-upstream`: the fake vendors as a process. Behaviour is described in `UPSTREAM.md`.

use clap::Parser;
use std::io::Write;
use testbed::upstream::{Options, Upstream};

/// Plays OpenAI, Anthropic, Gemini and Bedrock, deterministically, for tests and benches.
#[derive(Parser)]
struct Flags {
    /// Address to listen on; port 0 picks a free one. The URL is the first line of the output.
    #[arg(long, default_value = "127.0.0.1:4199")]
    listen: String,
    /// API key that every surface expects; `any` accepts whatever is not empty.
    #[arg(long, default_value = "test-upstream-key")]
    key: String,
    /// AWS access key id for SigV4.
    #[arg(long, default_value = "AKIDTESTBED")]
    aws_access_key_id: String,
    /// AWS secret for SigV4.
    #[arg(long, default_value = "testbed-secret")]
    aws_secret_access_key: String,
    /// How many requests are remembered for `GET /__requests`.
    #[arg(long, default_value_t = 256)]
    keep: usize,
    /// Milliseconds before each frame of a stream.
    #[arg(long, default_value_t = 0)]
    chunk_ms: u64,
    /// Milliseconds before each answer.
    #[arg(long, default_value_t = 0)]
    delay_ms: u64,
    /// Canned answers with minimal CPU, for benches.
    #[arg(long)]
    fast: bool,
    /// Worker threads; 1 keeps everything on one.
    #[arg(long, default_value_t = 1)]
    threads: usize,
}

fn main() -> std::io::Result<()> {
    let flags = Flags::parse();
    let mut builder = match flags.threads {
        0 | 1 => tokio::runtime::Builder::new_current_thread(),
        n => {
            let mut b = tokio::runtime::Builder::new_multi_thread();
            b.worker_threads(n);
            b
        }
    };
    builder.enable_all().build()?.block_on(run(flags))
}

async fn run(flags: Flags) -> std::io::Result<()> {
    let upstream = Upstream::start(Options {
        listen: flags.listen,
        key: (flags.key != "any").then_some(flags.key),
        aws: (flags.aws_access_key_id, flags.aws_secret_access_key),
        keep: flags.keep,
        chunk_ms: flags.chunk_ms,
        delay_ms: flags.delay_ms,
        fast: flags.fast,
    })
    .await?;
    let mut out = std::io::stdout();
    writeln!(out, "{}", upstream.url())?;
    out.flush()?;
    upstream.run().await;
    Ok(())
}
