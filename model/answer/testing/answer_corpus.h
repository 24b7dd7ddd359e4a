#ifndef FACET_MODEL_ANSWER_TESTING_ANSWER_CORPUS_H_
#define FACET_MODEL_ANSWER_TESTING_ANSWER_CORPUS_H_

#include <string>
#include <vector>

#include "model/answer/answer_parser.h"

namespace facet::testing {

// Some 300 answers, sound ones and malformed ones, as texts for AnswerIds.
const std::vector<std::string>& AnswerCorpus();

// Options that know the schemas of the tools `set` and `get`; the corpus calls other tools too.
AnswerOptions WithCorpusSchemas();

}  // namespace facet::testing

#endif  // FACET_MODEL_ANSWER_TESTING_ANSWER_CORPUS_H_
