"""What the whole-path tests, the demo and `make invoke` share: the simulated AWS as a process, the
deployed stacks, the Lambda runtime emulator, and victims to rescue."""
