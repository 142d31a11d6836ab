"""Language models over the three common APIs: OpenAI's chat completions, Anthropic's messages, Google's generateContent.

Requests are checked as strictly as the published APIs check them, keys too; answers come from a seeded trader that reads
the prices in the prompt, or word for word from a script.
"""
