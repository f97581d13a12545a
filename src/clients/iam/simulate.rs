//! Asks IAM's policy simulator what an identity may do: for a report. Changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fmt::Write;
use std::io;
use std::time::Duration;

use aws_sdk_iam::types::{ContextEntry, ContextKeyTypeEnum, EvaluationResult, PolicyEvaluationDecisionType, Statement};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use domain::evidence::asked::ANY;
use domain::evidence::simulating::{Exclusion, Plan};
use domain::evidence::simulation::{Asked, Evaluated, NotSimulated, Replies};
use domain::identity::IdentityKind;
use domain::outcome::Failure;
use tokio::time::{Instant, timeout_at};

use super::IamRead;
use crate::cloudtrail::OUT_OF_TIME;
use crate::errors::{failure, incomplete};

/// On top of what reading an identity needs.
pub const PERMISSIONS: &[&str] = &["iam:SimulatePrincipalPolicy"];

/// AWS names no limit; the smaller a batch, the less is lost with it.
const MOST_AT_ONCE: usize = 50;
/// Resources beside `*`, each of which is a call.
const MOST_RESOURCES: usize = 10;
/// One action that AWS does not know costs a dozen.
const MOST_CALLS: usize = 60;
const MOST_PAGES: usize = 20;
/// An action that AWS has known ever since.
const KNOWN: &str = "iam:GetUser";
/// Throttled for longer, it is not asked: a report has other things to read.
const PATIENCE: Duration = Duration::from_secs(6);

/// Actions on one resource.
struct Batch {
    actions: Vec<&'static str>,
    resource: String,
}

/// Asks everything, in as few calls as AWS lets: some actions less because it does not know them, or because time ran out.
pub async fn simulate(iam: &IamRead, plan: &Plan, asked: &[Asked], until: Instant) -> Replies {
    let iam = iam.patient_until(until.min(Instant::now() + PATIENCE).into_std());
    let mut replies = Replies::default();
    let mut left = batches(asked, &mut replies);
    let (mut calls, mut is_known_to_be_taken) = (0, false);
    while let Some(batch) = left.pop_front() {
        calls += 1;
        let answered = if calls > MOST_CALLS {
            Err(failed("TooManyCalls", "AWS was asked often enough"))
        } else {
            batch.ask(&iam, plan, until).await
        };
        match answered {
            Ok(found) => {
                is_known_to_be_taken = true;
                replies.not_simulated.extend(batch.lacking(&found));
                replies.evaluated.extend(found);
            }
            Err(failure) if failure.code == "InvalidInput" => {
                if !std::mem::replace(&mut is_known_to_be_taken, true) {
                    let one = Batch { actions: vec![KNOWN], resource: ANY.to_owned() };
                    if let Err(failure) = one.ask(&iam, plan, until).await {
                        stop(&mut replies, &failure, std::iter::once(batch).chain(left));
                        return replies;
                    }
                }
                match batch.halves() {
                    Ok(halves) => halves.into_iter().rev().for_each(|it| left.push_front(it)),
                    Err(single) => replies.not_simulated.push(single.not_simulated(&words(&failure))),
                }
            }
            // The second is what is too long, as a resource that somebody else wrote may be.
            Err(failure) if matches!(failure.code.as_str(), "PolicyEvaluation" | "ValidationError") => {
                replies.not_simulated.push(batch.not_simulated(&words(&failure)));
            }
            Err(failure) => {
                stop(&mut replies, &failure, std::iter::once(batch).chain(left));
                return replies;
            }
        }
    }
    replies
}

/// Nothing more is asked.
fn stop(replies: &mut Replies, failure: &Failure, left: impl Iterator<Item = Batch>) {
    let why = words(failure);
    replies.not_simulated.extend(left.map(|it| it.not_simulated(&why)));
    replies.stopped = Some(why);
}

fn words(failure: &Failure) -> String {
    match failure.code.as_str() {
        "AccessDenied" => format!("`{}` is not allowed to the investigator's role", PERMISSIONS.concat()),
        "InvalidInput" => format!("AWS does not take it ({failure})"),
        "TooManyCalls" | "OutOfTime" => failure.message.clone(),
        _ if failure.is_throttled() => format!("AWS asked for fewer calls ({failure})"),
        _ => failure.to_string(),
    }
}

fn failed(code: &str, message: &str) -> Failure {
    Failure { code: code.to_owned(), message: message.to_owned(), retryable: true }
}

/// Those resources first that most is asked of; of the others it is said that they are not.
fn batches(asked: &[Asked], replies: &mut Replies) -> VecDeque<Batch> {
    let mut of: BTreeMap<&str, Vec<&'static str>> = BTreeMap::new();
    asked.iter().for_each(|it| of.entry(&it.resource).or_default().push(it.action));
    let mut of: Vec<_> = of.into_iter().collect();
    of.sort_by_key(|(_, actions)| std::cmp::Reverse(actions.len()));
    let rest = of.split_off(of.len().min(MOST_RESOURCES));
    let actions: Vec<_> = rest.into_iter().flat_map(|(_, it)| it).map(str::to_owned).collect();
    if !actions.is_empty() {
        let why = format!("on a resource of their own, of which {MOST_RESOURCES} are asked about");
        replies.not_simulated.push(NotSimulated { actions, why });
    }
    let batch = |(resource, actions): (&str, Vec<&'static str>)| {
        let chunks: Vec<_> = actions.chunks(MOST_AT_ONCE).map(<[_]>::to_vec).collect();
        let resource = resource.to_owned();
        chunks.into_iter().map(move |actions| Batch { actions, resource: resource.clone() })
    };
    of.into_iter().flat_map(batch).collect()
}

impl Batch {
    async fn ask(&self, iam: &IamRead, plan: &Plan, until: Instant) -> Result<Vec<Evaluated>, Failure> {
        let mut found = Vec::new();
        let mut marker = None;
        for _ in 0..MOST_PAGES {
            let page = iam.patiently(|| self.page(iam, plan, marker.clone()));
            let page = timeout_at(until, page).await.unwrap_or_else(|_| Err(failed("OutOfTime", OUT_OF_TIME)))?;
            found.extend(page.0);
            marker = page.1;
            if marker.is_none() {
                return Ok(found);
            }
        }
        Err(incomplete("AWS's answers have no end"))
    }

    /// The answers, and where the next are.
    async fn page(
        &self,
        iam: &IamRead,
        plan: &Plan,
        marker: Option<String>,
    ) -> Result<(Vec<Evaluated>, Option<String>), Failure> {
        let boundary = plan.boundary.clone().map(|it| vec![it]);
        let added = Some(plan.added.clone()).filter(|it| !it.is_empty());
        let request = iam
            .simulate_principal_policy()
            .policy_source_arn(&plan.of)
            .set_action_names(Some(self.actions.iter().map(|it| (*it).to_owned()).collect()))
            .set_resource_arns((self.resource != ANY).then(|| vec![self.resource.clone()]))
            .set_policy_input_list(added)
            .set_permissions_boundary_policy_input_list(boundary)
            .set_context_entries(Some(context(plan)))
            .set_marker(marker);
        let exclusions = exclusion_list(&plan.left_out);
        let sent = request.customize().map_request(move |it| with(it, &exclusions)).send().await;
        let page = sent.map_err(|it| failure(&it))?;
        let results = page.evaluation_results.unwrap_or_default();
        let found = results.into_iter().map(|it| evaluated(it, &self.resource)).collect();
        Ok((found, page.marker.filter(|_| page.is_truncated)))
    }

    fn halves(self) -> Result<[Self; 2], Self> {
        let Some((first, second)) = self.actions.split_at_checked(self.actions.len() / 2).filter(|it| !it.0.is_empty())
        else {
            return Err(self);
        };
        Ok([first, second].map(|it| Self { actions: it.to_vec(), resource: self.resource.clone() }))
    }

    fn not_simulated(&self, why: &str) -> NotSimulated {
        NotSimulated { actions: self.actions.iter().map(|it| (*it).to_owned()).collect(), why: why.to_owned() }
    }

    /// What AWS said nothing about.
    fn lacking(&self, found: &[Evaluated]) -> Option<NotSimulated> {
        let is_there = |action: &str| found.iter().any(|it| it.action.eq_ignore_ascii_case(action));
        let actions: Vec<_> = self.actions.iter().filter(|it| !is_there(it)).map(|it| (*it).to_owned()).collect();
        (!actions.is_empty()).then(|| NotSimulated { actions, why: "AWS's answer lacks it".to_owned() })
    }
}

fn context(plan: &Plan) -> Vec<ContextEntry> {
    let entry = |it: &domain::evidence::simulating::Fact| {
        let kind = if it.is_boolean { ContextKeyTypeEnum::Boolean } else { ContextKeyTypeEnum::String };
        ContextEntry::builder().context_key_name(it.key).context_key_values(&it.value).context_key_type(kind).build()
    };
    plan.facts.iter().map(entry).collect()
}

/// Where one resource is asked about, what is missing is with its own result.
fn evaluated(result: EvaluationResult, resource: &str) -> Evaluated {
    let of_resources = result.resource_specific_results.unwrap_or_default();
    let missing = result.missing_context_values.unwrap_or_default().into_iter();
    let missing_there = of_resources.iter().flat_map(|it| it.missing_context_values().to_vec());
    let policy = |it: &Statement| {
        let kind = it.source_policy_type().map_or("policy", |it| it.as_str());
        it.source_policy_id().map(|id| format!("{id} ({kind})"))
    };
    let boundary = |it: &aws_sdk_iam::types::PermissionsBoundaryDecisionDetail| it.allowed_by_permissions_boundary;
    let boundary_there =
        of_resources.iter().filter_map(|it| it.permissions_boundary_decision_detail()).map(boundary).min();
    Evaluated {
        action: result.eval_action_name,
        resource: resource.to_owned(),
        is_allowed: result.eval_decision == PolicyEvaluationDecisionType::Allowed,
        is_denied: result.eval_decision == PolicyEvaluationDecisionType::ExplicitDeny,
        missing: missing.chain(missing_there).collect(),
        by_organization: result.organizations_decision_detail.map(|it| it.allowed_by_organizations),
        by_boundary: result.permissions_boundary_decision_detail.as_ref().map(boundary).or(boundary_there),
        by: result.matched_statements.iter().flatten().filter_map(policy).collect(),
    }
}

/// The SDK writes every entry of this list, which is a union, as `member.N.member`, whatever it is, and IAM can't tell a
/// policy from a type of policies: this is what botocore writes. `tests/policies.rs` holds it.
pub fn exclusion_list(left_out: &[Exclusion]) -> String {
    fn inline<'a>(name: &'a str, kind: &'a str, of: &'a str) -> Vec<(&'static str, &'a str)> {
        vec![
            ("InlinePolicyIdentifier.PolicyName", name),
            ("InlinePolicyIdentifier.AttachmentType", kind),
            ("InlinePolicyIdentifier.AttachmentName", of),
        ]
    }
    let mut form = String::new();
    for (n, exclusion) in left_out.iter().enumerate() {
        let fields = match exclusion {
            Exclusion::Policy(arn) => vec![("PolicyArn", arn.as_str())],
            Exclusion::Boundary => vec![("PolicyType", "permission-boundary")],
            Exclusion::Inline { name, of: IdentityKind::User, identity } => inline(name, "user", identity),
            Exclusion::Inline { name, of: IdentityKind::Role, identity } => inline(name, "role", identity),
            Exclusion::InlineOfGroup { name, group } => inline(name, "group", group),
        };
        for (field, value) in fields {
            let _ = write!(form, "&PolicyExclusionList.member.{}.{field}={}", n + 1, encoded(value));
        }
    }
    form
}

/// As in a form. Names may have `+`, `=`, `,` and `@` in them.
fn encoded(value: &str) -> String {
    let mut encoded = String::new();
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Before it is signed. A request without the list would be answered by our own deny, so that it is not sent.
fn with(mut request: HttpRequest, form: &str) -> Result<HttpRequest, io::Error> {
    let body = request.body().bytes().ok_or_else(|| io::Error::other("the request has no text"))?;
    let body = [body, form.as_bytes()].concat();
    let length = body.len().to_string();
    request.headers_mut().try_insert("content-length", length).map_err(io::Error::other)?;
    *request.body_mut() = SdkBody::from(body);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_out_stands_behind_the_rest_of_a_request_of_the_right_length() {
        let request = HttpRequest::new(SdkBody::from("Action=SimulatePrincipalPolicy"));
        let exclusion =
            Exclusion::Inline { name: "a+b=c,@d".to_owned(), of: IdentityKind::Role, identity: "app".to_owned() };
        let request = with(request, &exclusion_list(&[Exclusion::Boundary, exclusion])).unwrap();
        let body = std::str::from_utf8(request.body().bytes().unwrap()).unwrap();
        assert_eq!(
            body,
            "Action=SimulatePrincipalPolicy&PolicyExclusionList.member.1.PolicyType=permission-boundary\
             &PolicyExclusionList.member.2.InlinePolicyIdentifier.PolicyName=a%2Bb%3Dc%2C%40d\
             &PolicyExclusionList.member.2.InlinePolicyIdentifier.AttachmentType=role\
             &PolicyExclusionList.member.2.InlinePolicyIdentifier.AttachmentName=app"
        );
        assert_eq!(request.headers().get("content-length"), Some(body.len().to_string().as_str()));
        assert_eq!(exclusion_list(&[]), "");
    }

    #[test]
    fn each_batch_has_one_resource_and_no_more_actions_than_are_asked_at_once() {
        let asked = |resource: &str| Asked {
            action: KNOWN,
            resource: resource.to_owned(),
            own: domain::evidence::answer::Answer::Yes,
        };
        let mut all: Vec<_> = (0..120).map(|_| asked(ANY)).collect();
        all.extend((0..12).map(|it| asked(&format!("arn:{it}"))));
        let mut replies = Replies::default();
        let batches = batches(&all, &mut replies);
        let sizes: Vec<_> = batches.iter().map(|it| it.actions.len()).collect();
        assert_eq!(sizes, [50, 50, 20, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        assert_eq!(replies.not_simulated[0].actions.len(), 3);
        let batch = Batch { actions: vec![KNOWN; 3], resource: ANY.to_owned() };
        let Ok([first, second]) = batch.halves() else { panic!("three can be halved") };
        assert_eq!((first.actions.len(), second.actions.len()), (1, 2));
        assert!(first.halves().is_err());
    }
}
