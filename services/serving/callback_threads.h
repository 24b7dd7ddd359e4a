#ifndef FACET_SERVICES_SERVING_CALLBACK_THREADS_H_
#define FACET_SERVICES_SERVING_CALLBACK_THREADS_H_

namespace facet {

// Keeps the threads that run gRPC's client callbacks for as long as the process lives. gRPC 1.51
// ends them with the last channel that used them, and two of them may then both let go of their
// queue, which aborts the process. Cheap to call again. Thread-safe.
void KeepCallbackThreads();

}  // namespace facet

#endif  // FACET_SERVICES_SERVING_CALLBACK_THREADS_H_
