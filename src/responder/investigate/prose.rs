//! A summary in prose, where a model is set: once the report is kept and told, and whatever comes of it.

use std::time::Duration;

use clients::accounts::Home;
use clients::bedrock;
use domain::evidence::prose::{Prose, none};
use domain::evidence::report::Evidence;
use domain::settings::Investigator;

use crate::invocation::Call;

/// A model takes from two to twenty seconds.
const PATIENCE: Duration = Duration::from_secs(20);

/// `None`: none is wanted, or there is nothing new to say.
pub(super) async fn prose(home: &Home, settings: &Investigator, report: &Evidence, call: &Call) -> Option<Prose> {
    let model = settings.summary_model.as_ref()?;
    if report.changes.as_ref().is_some_and(|it| it.lines.is_empty()) {
        return None;
    }
    let question = report.question();
    let client = home.bedrock(PATIENCE.min(call.left().mul_f64(0.5)));
    let prose = match bedrock::converse(&client, model, &question).await {
        Ok(reply) => question.answered(model, &reply.stop, &reply.text),
        Err(failure) => none(model, &failure.code),
    };
    tracing::info!(report = report.id, "{}", prose.note);
    Some(prose)
}
