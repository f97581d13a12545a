//! What each action is done to: a resource's ARN as its service, region, account and resource.
//!
//! Where an action is done to several, it is the one whose rights are at stake, such as the instance that is started.
//! Held against AWS's own list by `tests/policies.rs`.
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html>

/// `{a}` stands for the account. Actions that IAM checks against no resource are not here.
const RESOURCES: &[(&str, &[&str])] = &[
    (
        "iam::{a}:user/*",
        &[
            "iam:CreateUser",
            "iam:CreateAccessKey",
            "iam:CreateLoginProfile",
            "iam:UpdateLoginProfile",
            "iam:AttachUserPolicy",
            "iam:PutUserPolicy",
            "iam:DeleteUserPermissionsBoundary",
            "iam:PutUserPermissionsBoundary",
            "iam:DetachUserPolicy",
            "iam:DeleteUserPolicy",
            "iam:CreateServiceSpecificCredential",
            "iam:ResetServiceSpecificCredential",
        ],
    ),
    (
        "iam::{a}:group/*",
        &[
            "iam:AttachGroupPolicy",
            "iam:PutGroupPolicy",
            "iam:AddUserToGroup",
            "iam:DetachGroupPolicy",
            "iam:DeleteGroupPolicy",
            "iam:RemoveUserFromGroup",
        ],
    ),
    (
        "iam::{a}:role/*",
        &[
            "iam:PassRole",
            "iam:AttachRolePolicy",
            "iam:PutRolePolicy",
            "iam:UpdateAssumeRolePolicy",
            "iam:DeleteRolePermissionsBoundary",
            "iam:PutRolePermissionsBoundary",
            "iam:DetachRolePolicy",
            "iam:DeleteRolePolicy",
            "sts:AssumeRole",
        ],
    ),
    (
        "iam::{a}:policy/*",
        &["iam:CreatePolicyVersion", "iam:SetDefaultPolicyVersion", "iam:DeletePolicyVersion", "iam:DeletePolicy"],
    ),
    ("iam::{a}:saml-provider/*", &["iam:UpdateSAMLProvider"]),
    (
        "iam::{a}:oidc-provider/*",
        &["iam:AddClientIDToOpenIDConnectProvider", "iam:UpdateOpenIDConnectProviderThumbprint"],
    ),
    ("apprunner:*:{a}:service/*", &["apprunner:CreateService", "apprunner:UpdateService"]),
    ("batch:*:{a}:job-definition/*", &["batch:RegisterJobDefinition", "batch:SubmitJob"]),
    ("batch:*:{a}:compute-environment/*", &["batch:CreateComputeEnvironment"]),
    ("batch:*:{a}:job-queue/*", &["batch:CreateJobQueue"]),
    (
        "bedrock-agentcore:*:{a}:code-interpreter-custom/*",
        &["bedrock-agentcore:StartCodeInterpreterSession", "bedrock-agentcore:InvokeCodeInterpreter"],
    ),
    (
        "bedrock-agentcore:*:{a}:runtime/*",
        &[
            "bedrock-agentcore:CreateAgentRuntimeEndpoint",
            "bedrock-agentcore:GetAgentRuntime",
            "bedrock-agentcore:InvokeAgentRuntimeCommand",
        ],
    ),
    ("bedrock-agentcore:*:{a}:workload-identity-directory/*", &["bedrock-agentcore:CreateWorkloadIdentity"]),
    ("bedrock-agentcore:*:{a}:harness/*", &["bedrock-agentcore:GetHarness"]),
    ("bedrock-agentcore:*:{a}:browser-custom/*", &["bedrock-agentcore:StartBrowserSession"]),
    ("braket:*:{a}:job/*", &["braket:CreateJob"]),
    (
        "cloudformation:*:{a}:stack/*",
        &[
            "cloudformation:CreateStack",
            "cloudformation:UpdateStack",
            "cloudformation:CreateChangeSet",
            "cloudformation:ExecuteChangeSet",
        ],
    ),
    ("cloudformation:*:{a}:stackset/*", &["cloudformation:CreateStackInstances", "cloudformation:UpdateStackSet"]),
    ("codebuild:*:{a}:project/*", &["codebuild:CreateProject", "codebuild:StartBuild", "codebuild:StartBuildBatch"]),
    ("codedeploy:*:{a}:deploymentgroup:*", &["codedeploy:CreateDeployment"]),
    ("datapipeline:*:{a}:pipeline/*", &["datapipeline:PutPipelineDefinition", "datapipeline:ActivatePipeline"]),
    (
        "ec2:*:{a}:instance/*",
        &[
            "ec2:RunInstances",
            "ec2:ModifyInstanceAttribute",
            "ec2:StopInstances",
            "ec2:StartInstances",
            "ec2-instance-connect:SendSSHPublicKey",
            "ssm:StartSession",
            "ssm:SendCommand",
        ],
    ),
    ("ec2:*:{a}:spot-instances-request/*", &["ec2:RequestSpotInstances"]),
    ("ec2:*:{a}:launch-template/*", &["ec2:CreateLaunchTemplateVersion", "ec2:ModifyLaunchTemplate"]),
    ("ec2:*::snapshot/*", &["ec2:ModifySnapshotAttribute", "ebs:GetSnapshotBlock"]),
    ("ec2:*::image/*", &["ec2:ModifyImageAttribute"]),
    ("ec2:*:{a}:vpc-flow-log/*", &["ec2:DeleteFlowLogs"]),
    ("ecs:*:{a}:cluster/*", &["ecs:CreateCluster", "ecs:RegisterContainerInstance"]),
    ("ecs:*:{a}:service/*", &["ecs:CreateService"]),
    ("ecs:*:{a}:task/*", &["ecs:ExecuteCommand", "ecs:DescribeTasks"]),
    ("ecs:*:{a}:task-definition/*", &["ecs:RegisterTaskDefinition", "ecs:RunTask", "ecs:StartTask"]),
    ("eks:*:{a}:cluster/*", &["eks:CreateAccessEntry"]),
    ("eks:*:{a}:access-entry/*", &["eks:UpdateAccessEntry", "eks:AssociateAccessPolicy"]),
    ("emr-serverless:*:{a}:/applications/*", &["emr-serverless:StartJobRun"]),
    ("gamelift:*:{a}:build/*", &["gamelift:RequestUploadCredentials"]),
    ("glue:*:{a}:job/*", &["glue:CreateJob", "glue:UpdateJob", "glue:StartJobRun"]),
    ("glue:*:{a}:trigger/*", &["glue:CreateTrigger"]),
    ("glue:*:{a}:session/*", &["glue:CreateSession", "glue:RunStatement"]),
    ("imagebuilder:*:{a}:component/*", &["imagebuilder:CreateComponent"]),
    ("imagebuilder:*:{a}:image-recipe/*", &["imagebuilder:CreateImageRecipe"]),
    ("imagebuilder:*:{a}:infrastructure-configuration/*", &["imagebuilder:CreateInfrastructureConfiguration"]),
    ("imagebuilder:*:{a}:image/*", &["imagebuilder:CreateImage"]),
    ("kinesisanalytics:*:{a}:application/*", &["kinesisanalytics:StartApplication"]),
    (
        "lambda:*:{a}:function:*",
        &["lambda:CreateFunction", "lambda:InvokeFunction", "lambda:UpdateFunctionCode", "lambda:AddPermission"],
    ),
    ("omics:*:{a}:workflow/*", &["omics:StartRun"]),
    (
        "sagemaker:*:{a}:notebook-instance/*",
        &[
            "sagemaker:CreateNotebookInstance",
            "sagemaker:CreatePresignedNotebookInstanceUrl",
            "sagemaker:StopNotebookInstance",
            "sagemaker:UpdateNotebookInstance",
            "sagemaker:StartNotebookInstance",
        ],
    ),
    ("sagemaker:*:{a}:notebook-instance-lifecycle-config/*", &["sagemaker:CreateNotebookInstanceLifecycleConfig"]),
    ("sagemaker:*:{a}:training-job/*", &["sagemaker:CreateTrainingJob"]),
    ("sagemaker:*:{a}:processing-job/*", &["sagemaker:CreateProcessingJob"]),
    ("scheduler:*:{a}:schedule/*", &["scheduler:CreateSchedule"]),
    ("ssm:*:{a}:document/*", &["ssm:CreateDocument", "ssm:StartAutomationExecution"]),
    (
        "ssm:*:{a}:parameter/*",
        &["ssm:GetParameter", "ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory"],
    ),
    ("sso:::permissionSet/*", &["sso:AttachManagedPolicyToPermissionSet", "sso:PutInlinePolicyToPermissionSet"]),
    (
        "states:*:{a}:stateMachine:*",
        &["states:CreateStateMachine", "states:UpdateStateMachine", "states:StartExecution"],
    ),
    ("secretsmanager:*:{a}:secret:*", &["secretsmanager:GetSecretValue", "secretsmanager:PutResourcePolicy"]),
    (
        "kms:*:{a}:key/*",
        &["kms:Decrypt", "kms:ReEncryptFrom", "kms:CreateGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"],
    ),
    (
        "s3:::*/*",
        &[
            "s3:GetObject",
            "s3:GetObjectVersion",
            "s3:PutObject",
            "s3:PutObjectAcl",
            "s3:DeleteObject",
            "s3:DeleteObjectVersion",
        ],
    ),
    (
        "s3:::*",
        &[
            "s3:PutBucketPolicy",
            "s3:PutBucketAcl",
            "s3:PutLifecycleConfiguration",
            "s3:PutReplicationConfiguration",
            "s3:DeleteBucket",
        ],
    ),
    ("s3:*:{a}:accesspoint/*", &["s3:PutAccessPointPolicy"]),
    (
        "dynamodb:*:{a}:table/*",
        &[
            "dynamodb:Scan",
            "dynamodb:Query",
            "dynamodb:GetItem",
            "dynamodb:BatchGetItem",
            "dynamodb:PartiQLSelect",
            "dynamodb:ExportTableToPointInTime",
            "dynamodb:PutResourcePolicy",
        ],
    ),
    ("rds:*:{a}:db:*", &["rds:CreateDBSnapshot"]),
    ("rds:*:{a}:cluster:*", &["rds:CreateDBClusterSnapshot", "rds-data:ExecuteStatement"]),
    ("rds:*:{a}:snapshot:*", &["rds:ModifyDBSnapshotAttribute", "rds:StartExportTask"]),
    ("rds:*:{a}:cluster-snapshot:*", &["rds:ModifyDBClusterSnapshotAttribute"]),
    (
        "cloudtrail:*:{a}:trail/*",
        &["cloudtrail:StopLogging", "cloudtrail:DeleteTrail", "cloudtrail:PutEventSelectors", "cloudtrail:UpdateTrail"],
    ),
    (
        "guardduty:*:{a}:detector/*",
        &[
            "guardduty:DeleteDetector",
            "guardduty:UpdateDetector",
            "guardduty:CreateFilter",
            "guardduty:UpdateFilter",
            "guardduty:DeletePublishingDestination",
        ],
    ),
    (
        "config:*:{a}:configuration-recorder/*",
        &["config:StopConfigurationRecorder", "config:DeleteConfigurationRecorder", "config:PutConfigurationRecorder"],
    ),
    ("securityhub:*:{a}:hub/default", &["securityhub:DisableSecurityHub"]),
    ("logs:*:{a}:log-group:*", &["logs:DeleteLogGroup", "logs:DeleteLogStream", "logs:PutRetentionPolicy"]),
    ("events:*:{a}:rule/*", &["events:DisableRule", "events:DeleteRule"]),
    ("cloudwatch:*:{a}:alarm:*", &["cloudwatch:DeleteAlarms"]),
];

/// By these one's own credentials give nothing new.
const OF_OTHERS: &[&str] = &[
    "iam:CreateAccessKey",
    "iam:CreateLoginProfile",
    "iam:UpdateLoginProfile",
    "iam:CreateServiceSpecificCredential",
    "iam:ResetServiceSpecificCredential",
];

/// The ARNs that an action may be done to, without their beginning; `None`: it is checked against no resource.
pub fn resources(action: &str) -> Option<&'static str> {
    RESOURCES.iter().find(|(_, actions)| actions.contains(&action)).map(|(resource, _)| *resource)
}

/// Whether it gives something only where it is done to another user.
pub fn is_of_others(action: &str) -> bool {
    OF_OTHERS.contains(&action)
}
