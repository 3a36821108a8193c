"""Fine-tuning on examples of answers, as `cllm finetune` does it."""
