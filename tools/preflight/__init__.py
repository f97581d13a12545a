"""What is missing before and after a deployment, by read-only calls with the operator's own credentials.

    make preflight [REGION=…] [STACK=iam-responder] [STACK_SET=iam-responder-member]
                   [READ_ROLE=…] [MEMBER_PROFILE=…] [ACCOUNTS=…] [ASK=1]

One line for each thing: ok, missing (with what to do), or can't be read (with which permission). The exit code is 0
when all is ok, 1 when something is missing, 2 when nothing is missing but something could not be read.

It changes nothing. Of secrets it reads the external ID, to compare it, and Slack's token, to try it; it prints neither.
docs/deploy.md has what each line means, and the policies that it needs.
"""
