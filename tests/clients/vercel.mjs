// Vercel's AI SDK, with its provider of OpenAI's models.
import { writeFileSync } from "node:fs";
import { createOpenAI } from "@ai-sdk/openai";
import * as ai from "ai";

const draw = ai.generateImage ?? ai.experimental_generateImage;
const openai = createOpenAI({ baseURL: process.env.OPENAI_BASE_URL });
const { image } = await draw({
  model: openai.image("gpt-image-1"),
  prompt: "A white cat",
  size: "1024x1024",
});
writeFileSync(process.argv[2], image.uint8Array);
