"""`cllm prepare`: files of many kinds become a data set, a folder of tokens to train on."""
