// The official client for JavaScript: a picture, a stream, an error.
import { writeFileSync } from "node:fs";
import OpenAI from "openai";

const client = new OpenAI();
const prompt = "A white cat";
const answer = await client.images.generate({ model: "gpt-image-1", prompt });
writeFileSync(process.argv[2], Buffer.from(answer.data[0].b64_json, "base64"));

const events = [];
const asked = { model: "fake-slow", prompt, stream: true, partial_images: 1 };
for await (const event of await client.images.generate(asked)) events.push(event.type);
if (events.at(-1) !== "image_generation.completed" || events.length !== 2) throw events;

const refused = await client.images.generate({ prompt, size: "1x1" }).catch((error) => error);
if (!(refused instanceof OpenAI.BadRequestError) || refused.param !== "size") throw refused;
