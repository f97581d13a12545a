#!/bin/sh
# The whole of a rehearsal: a user with administrator access and a key is made, reported to Security Hub as a
# finding of the account's own, and found remediated. Against `make local`, or a test account of yours.
#
#   . local/env.sh && docs/rehearse.sh
#   AWS_PROFILE=… docs/rehearse.sh              on AWS: the settings it needs are in docs/rehearse.md
#
# Leaves nothing behind: the user is deleted at the end, however it ends.
set -eu
cd "$(dirname "$0")/.."
# The account of the user; in the world of `make local`, the profile that administrates it.
if [ "${AWS_ENDPOINT_URL:-}" ]; then export AWS_PROFILE=member; fi
ACCOUNT=$(aws sts get-caller-identity --query Account --output text)
VICTIM=${VICTIM:-dangerous-test-user}
# A finding's ID that is known is not imported as a new one: each run has its own.
FINDING=${FINDING:-iam-remediation-test-$(date +%s)}
export ACCOUNT VICTIM FINDING
PATIENCE=${PATIENCE:-120}

tidy() {
  for key in $(aws iam list-access-keys --user-name "$VICTIM" --query 'AccessKeyMetadata[].AccessKeyId' --output text); do
    aws iam delete-access-key --user-name "$VICTIM" --access-key-id "$key"
  done
  for policy in $(aws iam list-attached-user-policies --user-name "$VICTIM" --query 'AttachedPolicies[].PolicyArn' --output text); do
    aws iam detach-user-policy --user-name "$VICTIM" --policy-arn "$policy"
  done
  aws iam delete-user --user-name "$VICTIM"
}

echo "1. create-user $VICTIM, with AdministratorAccess and a key, in account $ACCOUNT"
aws iam create-user --user-name "$VICTIM" >/dev/null
trap tidy EXIT
trap 'exit 130' INT TERM HUP
aws iam attach-user-policy --user-name "$VICTIM" --policy-arn arn:aws:iam::aws:policy/AdministratorAccess
aws iam create-access-key --user-name "$VICTIM" >/dev/null

echo "2. batch-import-findings: $FINDING"
# A finding is newer than its user, to the second.
sleep 1
failed=$(aws securityhub batch-import-findings --findings "$(events/fresh events/batch-import-findings/iam-remediation-test-001.json)" \
  --query 'FailedFindings[].ErrorMessage' --output text)
[ -z "$failed" ] || { echo "   Security Hub refused it: $failed"; exit 1; }

echo "3. waiting for the tags, which come last"
waited=0
until aws iam list-user-tags --user-name "$VICTIM" --query 'Tags[].Key' --output text | grep -q SecurityIncident; do
  [ "$waited" -lt "$PATIENCE" ] || { echo "   not remediated within $PATIENCE s: docs/rehearse.md has what to look at"; exit 1; }
  sleep 1
  waited=$((waited + 1))
done
# Policies go when the state before was kept, which is about when the tags are set.
sleep 2

echo "4. what became of it"
policies=$(aws iam list-attached-user-policies --user-name "$VICTIM" --query 'AttachedPolicies[].PolicyName' --output text)
keys=$(aws iam list-access-keys --user-name "$VICTIM" --query 'AccessKeyMetadata[].Status' --output text)
aws iam list-user-tags --user-name "$VICTIM" --query 'Tags[].[Key,Value]' --output text | sed 's/^/   tag      /'
echo "   policies ${policies:-none}"
echo "   keys     $keys"
case "$policies,$keys" in
  ,Inactive | None,Inactive) echo "Remediated." ;;
  *) echo "NOT remediated: a policy is attached, or the key is active."; exit 1 ;;
esac
