//! Settings, clients, and the runtime; nothing else.

use std::str::FromStr;

use clients::accounts::Aws;
use domain::settings::{Front, Settings};
use domain::sources::guardduty_types::doubtful_responses;
use iam_responder::front::{self, Entrance};
use iam_responder::{Call, Context, handle, parse};
use lambda_runtime::{LambdaEvent, service_fn};
use serde_json::value::RawValue;
use tracing::level_filters::LevelFilter;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_runtime::Error> {
    let level = std::env::var("AWS_LAMBDA_LOG_LEVEL").ok().and_then(|it| LevelFilter::from_str(&it).ok());
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_current_span(false)
        .with_span_list(true)
        .with_target(false)
        .with_max_level(level.unwrap_or(LevelFilter::INFO))
        .init();
    let lookup = |name: &str| std::env::var(name).ok();
    if let Some(settings) = Front::from_lookup(lookup) {
        let aws = Aws::load_for_front(settings.as_ref().ok().and_then(Front::endpoint_url)).await;
        let entrance = Entrance { settings, aws };
        let entrance = &entrance;
        return lambda_runtime::run(service_fn(move |event: LambdaEvent<_>| async move {
            front::answer(entrance, event.payload, &event.context.request_id).await
        }))
        .await;
    }
    let settings = Settings::from_lookup(lookup);
    if let Ok(Settings::Responder(it)) = &settings {
        for doubt in doubtful_responses(&it.eligibility) {
            tracing::warn!("{doubt}");
        }
    }
    let endpoint_url = settings.as_ref().ok().and_then(|it| it.common().endpoint_url.as_deref());
    let aws = Aws::load(endpoint_url).await;
    let context = Context { settings, aws };
    let context = &context;
    lambda_runtime::run(service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let call = Call { request_id: event.context.request_id.clone(), deadline: event.context.deadline() };
        handle(context, parse(event.payload.get()), &call).await
    }))
    .await
}
