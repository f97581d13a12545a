//! Security Hub's controls, by whatever standard's name they come.

use super::node::Node;
use crate::finding::Threat;

/// The controls of older standards that are the same checks as those with playbooks: standard, its
/// version, its requirement, and the control. Findings come under these names where consolidated control
/// findings are off, and came so before there were any.
///
/// From "Related requirements" of each control, and from the standards' own pages.
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/iam-controls.html>
/// <https://docs.aws.amazon.com/securityhub/latest/userguide/pci-standard.html>
const SAME: &[(&str, &str, &str, &str)] = &[
    ("cis-aws-foundations-benchmark", "1.2.0", "1.2", "IAM.5"),
    ("cis-aws-foundations-benchmark", "1.2.0", "1.3", "IAM.8"),
    ("cis-aws-foundations-benchmark", "1.2.0", "1.12", "IAM.4"),
    ("cis-aws-foundations-benchmark", "1.4.0", "1.4", "IAM.4"),
    ("cis-aws-foundations-benchmark", "1.4.0", "1.10", "IAM.5"),
    ("cis-aws-foundations-benchmark", "1.4.0", "1.12", "IAM.22"),
    ("cis-aws-foundations-benchmark", "3.0.0", "1.4", "IAM.4"),
    ("cis-aws-foundations-benchmark", "3.0.0", "1.10", "IAM.5"),
    ("cis-aws-foundations-benchmark", "3.0.0", "1.12", "IAM.22"),
    ("cis-aws-foundations-benchmark", "5.0.0", "1.3", "IAM.4"),
    ("cis-aws-foundations-benchmark", "5.0.0", "1.9", "IAM.5"),
    ("cis-aws-foundations-benchmark", "5.0.0", "1.11", "IAM.22"),
    ("pci-dss", "3.2.1", "PCI.IAM.1", "IAM.4"),
    ("pci-dss", "3.2.1", "PCI.IAM.6", "IAM.19"),
    ("pci-dss", "3.2.1", "PCI.IAM.7", "IAM.8"),
];

/// What a control asks for.
pub(super) fn threat(control: &str) -> Option<Threat> {
    match control {
        "IAM.4" => Some(Threat::RootAccessKey),
        "IAM.8" | "IAM.22" => Some(Threat::UnusedUser),
        // IAM.19 is about programs as well, which have no password: the playbook leaves them alone.
        "IAM.5" | "IAM.19" => Some(Threat::MissingMfa),
        _ => None,
    }
}

/// The control's ID, however old the event is: its own field, or what the generator's ID ends in.
/// `None` when the finding is of no control.
pub(super) fn control(finding: &Node) -> Option<String> {
    if let Some(stated) = finding.at("Compliance.SecurityControlId").text() {
        return Some(stated.to_owned());
    }
    let generator = finding.get("GeneratorId").text().unwrap_or_default();
    let fields = finding.get("ProductFields");
    // A standard's control: `…/cis-aws-foundations-benchmark/v/1.2.0/…/1.3`.
    let arn = fields.get("StandardsControlArn").text().unwrap_or_default();
    by_standard(generator).or_else(|| by_standard(arn)).or_else(|| {
        let stated = fields.get("ControlId").text();
        let last = generator.strip_prefix("security-control/");
        stated.or(last).map(str::to_owned)
    })
}

fn by_standard(text: &str) -> Option<String> {
    let (before, rest) = text.split_once("/v/")?;
    let standard = before.rsplit('/').next()?;
    let (version, requirement) = rest.split_once('/')?;
    let requirement = requirement.rsplit('/').next()?;
    let same = SAME.iter().find(|(a, b, c, _)| *a == standard && *b == version && *c == requirement);
    match same {
        Some((.., control)) => Some((*control).to_owned()),
        // The standards whose requirements are the controls themselves.
        None => Some(requirement.to_owned()).filter(|it| it.starts_with("IAM.")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(generator: &str) -> Option<String> {
        let finding = json!({"GeneratorId": generator});
        control(&Node::root(&finding))
    }

    #[test]
    fn a_control_is_known_under_every_standards_name() {
        for (generator, control) in [
            ("arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/1.3", "IAM.8"),
            ("arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/1.12", "IAM.4"),
            ("cis-aws-foundations-benchmark/v/1.4.0/1.12", "IAM.22"),
            ("cis-aws-foundations-benchmark/v/5.0.0/1.3", "IAM.4"),
            ("pci-dss/v/3.2.1/PCI.IAM.7", "IAM.8"),
            ("aws-foundational-security-best-practices/v/1.0.0/IAM.22", "IAM.22"),
            ("nist-800-53/v/5.0.0/IAM.4", "IAM.4"),
            ("security-control/IAM.8", "IAM.8"),
            ("arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/1.2", "IAM.5"),
            ("cis-aws-foundations-benchmark/v/5.0.0/1.9", "IAM.5"),
            ("pci-dss/v/3.2.1/PCI.IAM.6", "IAM.19"),
        ] {
            assert_eq!(of(generator).as_deref(), Some(control), "{generator}");
        }
        for other in [
            "prowler-iam_user_accesskey_unused",
            // Another check under a number that elsewhere is one of ours.
            "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/1.14",
            "arn:aws:securityhub:::ruleset/cis-aws-foundations-benchmark/v/1.2.0/rule/1.4",
            "cis-aws-foundations-benchmark/v/1.4.0/1.3",
            "pci-dss/v/3.2.1/PCI.IAM.2",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn the_standards_own_field_counts_where_the_generator_says_nothing() {
        let arn = "arn:aws:securityhub:us-east-1:111122223333:control/cis-aws-foundations-benchmark/v/1.2.0/1.12";
        let finding = json!({"GeneratorId": "x", "ProductFields": {"StandardsControlArn": arn}});
        assert_eq!(control(&Node::root(&finding)).as_deref(), Some("IAM.4"));
    }
}
