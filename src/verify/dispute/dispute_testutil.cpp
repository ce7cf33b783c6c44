#include "verify/dispute/dispute_testutil.hpp"

#include "base/assert.hpp"
#include "crypto/merkle.hpp"
#include "engine/constraint_testutil.hpp"
#include "protocol/tokens.hpp"
#include "verify/referee/opening.hpp"

namespace assay::verify {
namespace {

Bytes bytes_of(ByteView view) { return {view.begin(), view.end()}; }

Bytes le32(std::uint32_t n) {
  Bytes out;
  append_le(out, n);
  return out;
}

void flip(LeafExecution& leaf, const WorldLie& lie) {
  Bytes values = bytes_of(leaf.values(lie.op));
  const std::size_t width = value_bytes(leaf.op(lie.op).type);
  for (std::size_t b = 0; b < width; ++b)
    values[lie.element * width + b] ^= static_cast<std::uint8_t>(lie.flip >> (8 * b));
  leaf.put(lie.op, std::move(values));
}

bool same(const LeafPlace& a, const LeafPlace& b) {
  return a.position == b.position && a.index == b.index && a.fault == b.fault;
}

// What a provider shows of a leaf of a World.
class WorldLeaf final : public LeafEvidence {
 public:
  WorldLeaf(LeafExecution leaf, std::shared_ptr<Opened> run, std::optional<Hash> salt,
            std::optional<WorldLie> lie, ThreadPool& pool)
      : run_(std::move(run)),
        leaf_(std::move(leaf)),
        executed_(leaf_, pool),
        salt_(salt),
        lie_(lie) {}
  const OpList& ops() const override { return leaf_.ops(); }
  Bytes preimage() const override {
    Bytes out = leaf_.preimage();
    if (salt_) std::ranges::copy(*salt_, out.begin());
    return out;
  }
  Hash salt() const override { return salt_.value_or(leaf_.salt()); }
  std::optional<Hash> leaf_hash() const override { return leaf_.leaf_hash(); }
  std::uint32_t known_ops() const override { return executed_.known_ops(); }
  std::optional<FaultClaim> fault() const override { return executed_.fault(); }
  Hash op_root(std::uint32_t op) const override { return executed_.op_root(op); }
  std::vector<Hash> chunk_leaves(std::uint32_t op) const override {
    return executed_.chunk_leaves(op);
  }
  Bytes chunk(std::uint32_t op, std::uint64_t chunk) const override {
    return executed_.chunk(op, chunk);
  }
  Result<std::vector<std::uint32_t>> running(std::uint32_t op,
                                             std::uint64_t element) const override {
    TRY(auto out, executed_.running(op, element));
    if (lie_ && lie_->step && lie_->op == op && lie_->element == element)
      out[*lie_->step] ^= lie_->flip;
    // The last of them is what it committed to.
    if (leaf_.op(op).kind != OpKind::threshold && !leaf_.fault())
      out.back() = leaf_.value(op, element);
    return out;
  }
  Status adopt(std::uint32_t op, const Hash& root) override { return executed_.adopt(op, root); }
  Result<Bytes> prove(const StepPlace& place, const TracePaths& paths) const override {
    return executed_.prove(place, paths);
  }

 private:
  std::shared_ptr<Opened> run_;
  LeafExecution leaf_;
  ExecutedLeaf executed_;
  std::optional<Hash> salt_;
  std::optional<WorldLie> lie_;
};

}  // namespace

World::World(std::shared_ptr<const ModelTrees> model, const Program& program,
             const protocol::Request& request, const protocol::Opening& opening, ThreadPool& pool)
    : run_(std::make_shared<Opened>()), pool_(&pool) {
  run_->model = std::move(model);
  run_->opening = opening;
  run_->constraint = constraint_of(request, opening.automaton, run_->model->model()).value();
  if (run_->constraint)
    run_->parts = parts_of(run_->constraint->automaton(), run_->constraint->pieces());
  Subject& s = run_->subject;
  s.program = program;
  s.weights_root = run_->model->weights_root();
  s.request = request;
  s.count = request.max_tokens;
  s.finish = static_cast<std::uint32_t>(protocol::Finish::length);
  run_->opening.answer.assign(s.count, 0);
  run_->opening.logprobs.assign(std::size_t{s.count} * protocol::logprob_width(request), 0);
  leaves_.resize(s.prompt() + s.count - 1);
  for (std::uint32_t t = 0; t < leaves_.size(); ++t) leaves_[t].resize(position_leaves(s, t));
  build({});
}

World World::lying(const WorldLie& lie) const {
  World out = *this;
  out.last_ = nullptr;
  out.run_ = std::make_shared<Opened>(*run_);
  out.lie_ = lie;
  if (lie.step) return out;
  if (lie.downstream) {
    out.build(lie.leaf);
  } else {
    out.commit(out.execute(lie.leaf));
    out.sum_up();
  }
  return out;
}

World World::salted(const LeafPlace& leaf) const {
  World out = *this;
  out.last_ = nullptr;
  out.run_ = std::make_shared<Opened>(*run_);
  out.leaves_[leaf.position][leaf.index].salt = leaf_salt(Hash{1}, leaf.position, leaf.index);
  out.sum_up();
  return out;
}

World World::with_run(std::shared_ptr<Opened> run) const {
  World out = *this;
  out.last_ = nullptr;
  out.run_ = std::move(run);
  return out;
}

LeafStates World::states_of(const LeafPlace& place) const {
  LeafStates states;
  const Program& program = run_->subject.program;
  const std::size_t width = program.kv_dim();
  const auto fill = [&](std::uint32_t layer, std::uint32_t positions, LeafStates::Rows& rows) {
    rows.k.resize(positions * width);
    rows.v.resize(positions * width);
    for (std::uint32_t t = 0; t < positions; ++t) {
      const Committed& c = leaves_[t][layer];
      std::vector<float> x(program.dim);
      std::memcpy(x.data(), c.x.data(), c.x.size());
      rows.x_roots.push_back(vector_root(x));
      std::memcpy(&rows.k[t * width], c.k.data(), c.k.size());
      std::memcpy(&rows.v[t * width], c.v.data(), c.v.size());
    }
  };
  if (place.index < program.layers) fill(place.index, place.position, states.own);
  if (place.index == 0) return states;
  const Committed& entering = leaves_[place.position][place.index - 1];
  states.x.resize(program.dim);
  std::memcpy(states.x.data(), entering.x.data(), entering.x.size());
  fill(place.index - 1, place.position + 1, states.before);
  return states;
}

void World::run_ops(LeafExecution& leaf, bool record) const {
  const Subject& s = run_->subject;
  const LeafPlace& place = leaf.place();
  const bool here = lie_ && same(lie_->leaf, place) && !lie_->step;
  const std::uint32_t width = protocol::logprob_width(s.request);
  const std::uint32_t next = place.position + 1;  // of the token chosen here
  for (std::uint32_t i = 0; i < leaf.ops().ops.size(); ++i) {
    const auto ok = leaf.compute(*pool_, i, i + 1);
    ASSAY_ASSERT(ok.has_value());
    // An honest execution would end here.
    if (leaf.fault()) leaf.put(i, Bytes(leaf.op(i).values * value_bytes(leaf.op(i).type), 0));
    const bool lied = here && lie_->downstream && lie_->op == i;
    if (lied) flip(leaf, *lie_);
    switch (leaf.op(i).kind) {
      case OpKind::threshold_ok:
        if (!lied) leaf.put(i, le32(1));
        break;  // or nobody would listen
      case OpKind::running_total:
        if (!lied && std::string_view(leaf.op(i).name) == "lct")
          leaf.put(i, le32(s.request.logprobs - 1));
        break;
      case OpKind::best_token:
        if (record && next >= s.prompt() && next - s.prompt() < s.count)
          run_->opening.answer[next - s.prompt()] = leaf.value(i, 0);
        break;
      case OpKind::logprob:
        for (std::uint32_t n = 0; record && n < width; ++n)
          run_->opening.logprobs[(next - s.prompt()) * width + n] = leaf.value(i, n);
        break;
      default:
        break;
    }
  }
  const auto count = static_cast<std::uint32_t>(leaf.ops().ops.size());
  ASSAY_ASSERT(leaf.compute(*pool_, count, count).has_value());  // the last op's fault is forgotten
  if (!here || lie_->downstream) return;
  flip(leaf, *lie_);
  const auto also = [&](std::string_view name) {
    if (const auto op = leaf.find(name)) leaf.put(*op, bytes_of(leaf.values(lie_->op)));
  };
  if (leaf.op(lie_->op).kind == OpKind::best_token) also("nx");
  if (leaf.op(lie_->op).kind == OpKind::logprob) also("lo");
}

LeafExecution World::execute(const LeafPlace& place) const {
  LeafExecution leaf(*run_, place, states_of(place));
  run_ops(leaf, false);
  return leaf;
}

void World::commit(const LeafExecution& leaf) {
  Committed& c = leaves_[leaf.place().position][leaf.place().index];
  for (std::uint32_t i = 0; i < leaf.computed(); ++i) switch (leaf.op(i).tie) {
      case Op::Tie::x:
        c.x = bytes_of(leaf.values(i));
        break;
      case Op::Tie::k:
        c.k = bytes_of(leaf.values(i));
        break;
      case Op::Tie::v:
        c.v = bytes_of(leaf.values(i));
        break;
      case Op::Tie::logits:
        c.logits = bytes_of(leaf.values(i));
        break;
      case Op::Tie::token:
        c.token = leaf.value(i, 0);
        break;
      case Op::Tie::none:
        break;
    }
}

void World::build(const LeafPlace& from) {
  for (std::uint32_t t = from.position; t < leaves_.size(); ++t)
    for (std::uint32_t i = t == from.position ? from.index : 0; i < leaves_[t].size(); ++i) {
      const LeafPlace place{t, i, false};
      LeafExecution leaf(*run_, place, states_of(place));
      run_ops(leaf, true);
      commit(leaf);
    }
  sum_up();
}

Hash World::hash_of(const LeafPlace& place) const {
  const Subject& s = run_->subject;
  const Committed& c = leaves_[place.position][place.index];
  const Hash salt = c.salt.value_or(leaf_salt(secret(), place.position, place.index));
  const auto root = [](const Bytes& values, std::size_t width) {
    std::vector<Hash> chunks;
    for (std::size_t at = 0; at < values.size(); at += kChunkValues * width)
      chunks.push_back(crypto::leaf_hash(
          ByteView(values).subspan(at, std::min(kChunkValues * width, values.size() - at))));
    return crypto::merkle_root(chunks);
  };
  if (place.index == s.program.layers)
    return head_leaf(place.position, salt, root(c.x, 4), root(c.logits, 4), c.token);
  return cell_leaf(place.position, place.index, salt, root(c.x, 4), root(c.k, 2), root(c.v, 2));
}

void World::sum_up() {
  hashes_.clear();
  positions_.clear();
  std::vector<Hash> roots;
  for (std::uint32_t t = 0; t < leaves_.size(); ++t) {
    auto& of = hashes_.emplace_back();
    for (std::uint32_t i = 0; i < leaves_[t].size(); ++i) of.push_back(hash_of({t, i, false}));
    roots.push_back(position_root(of));
    positions_.push_back(crypto::leaf_hash(roots.back()));
  }
  Subject& s = run_->subject;
  s.trace_root = trace_root(roots, s.program.layers);
  s.tape_root = protocol::tape_root(secret(), run_->opening.answer);
  s.logprobs_root = *protocol::logprobs_root(secret(), s.request, s.count, run_->opening.logprobs);
}

Result<std::shared_ptr<LeafEvidence>> World::leaf(const LeafPlace& place) {
  if (place.position >= leaves_.size() || place.index >= leaves_[place.position].size())
    return fail(Errc::refused, "no such leaf");
  if (last_ && same(last_place_, place)) return last_;
  std::optional<WorldLie> lie;
  if (lie_ && same(lie_->leaf, place)) lie = lie_;
  last_ = std::make_shared<WorldLeaf>(execute(place), run_,
                                      leaves_[place.position][place.index].salt, lie, *pool_);
  last_place_ = place;
  return last_;
}

Game start(const World& world) { return *Game::start(world.subject(), Hash{7}, Hash{8}); }

Result<Bytes> towards(const Game& game, const Goal& goal, Evidence& challenger) {
  const auto child = [](const Descent& descent, std::uint64_t leaf) -> Result<Bytes> {
    const auto shapes = children_of(descent.node);
    for (std::uint32_t i = 0; i < shapes.size(); ++i)
      if (leaf >= shapes[i].first && leaf < shapes[i].first + shapes[i].leaves) return le32(i);
    return fail(Errc::not_found, "no such leaf");
  };
  if (game.phase() == Phase::positions)
    return child(game.position_descents().back(), goal.leaf.position);
  if (game.phase() == Phase::leaves) return child(game.leaf_descents().back(), goal.leaf.index);
  if (goal.element) {
    if (game.phase() == Phase::ops) return le32(goal.element->op);
    if (game.phase() == Phase::chunks)
      return child(game.chunk_descents().back(), goal.element->element / kChunkValues);
    if (game.phase() == Phase::values)
      return le32(static_cast<std::uint32_t>(goal.element->element % kChunkValues));
    if (game.phase() == Phase::running)
      if (const auto own = challenge(game, challenger); !own) return le32(goal.element->step);
  }
  return challenge(game, challenger);
}

Ending play(Game game, Evidence& provider, Evidence& challenger, const std::optional<Goal>& goal) {
  Ending end;
  while (game.outcome() == DisputeOutcome::open) {
    const bool theirs = game.turn() == Side::provider;
    const auto payload = theirs ? respond(game, provider)
                         : goal ? towards(game, *goal, challenger)
                                : challenge(game, challenger);
    const Status played = payload ? game.play(*payload) : std::unexpected(payload.error());
    if (!played) {
      end.stalled = true;
      end.why = played.error().message;
      static_cast<void>(game.expire());
      break;
    }
    end.payloads.push_back(*payload);
    if (!theirs) end.proof = payload->size();
  }
  end.outcome = game.outcome();
  end.phase = game.phase();
  end.place = game.place();
  if (!game.ops().ops.empty()) end.op = game.ops().ops[game.place().op].name;
  end.rounds = game.provider_moves();
  return end;
}

Program toy_program(const ToyModel& toy) {
  ThreadPool pool(1);
  const auto tokenizer = *engine::Tokenizer::from(toy.model->gguf());
  const auto chat = engine::ChatTemplate::from(toy.model->gguf());
  return program_of(*toy.model, tokenizer, chat ? &*chat : nullptr, pool);
}

World toy_world(const ToyModel& toy, const ToyRequest& wanted, ThreadPool& pool) {
  protocol::Opening opening;
  opening.salt_secret.fill(5);
  opening.prompt = wanted.prompt;
  protocol::Request request;
  request.execution = protocol::struct_hash(execution_id(toy.identity));
  request.prompt_count = static_cast<std::uint32_t>(wanted.prompt.size());
  request.prompt_root = protocol::prompt_root(opening.salt_secret, opening.prompt);
  request.max_tokens = wanted.answer;
  request.stop_root = protocol::stop_root({});
  request.salt_commitment = protocol::salt_commitment(opening.salt_secret);
  if (wanted.ask) wanted.ask(request);
  if (wanted.constraint) {
    canon::test::Random random(*wanted.constraint);
    const auto drawn = engine::random_constraint(random, *toy.model->pieces());
    opening.automaton = canon::encode(drawn->automaton());
    request.constraint = protocol::constraint_root(parts_of(drawn->automaton(), drawn->pieces()));
  }
  return World(std::make_shared<const ModelTrees>(toy.model, pool), toy_program(toy), request,
               opening, pool);
}

Signers::Signers(const World& world)
    : provider(*crypto::secret_key(Bytes(32, 2))), challenger(*crypto::secret_key(Bytes(32, 3))) {
  domain.ledger.fill(9);
  const Subject& s = world.run()->subject;
  receipt = {.request = protocol::digest(domain, s.request),
             .count = s.count,
             .finish = s.finish.value_or(0),
             .tape_root = s.tape_root,
             .trace_root = s.trace_root,
             .logprobs_root = s.logprobs_root,
             .key_sequence = 1};
  dispute = protocol::sign(domain,
                           protocol::Dispute{.challenger = crypto::address_of(challenger),
                                             .lease = s.request.lease,
                                             .subject = protocol::digest(domain, receipt),
                                             .bond = 1000,
                                             .nonce = 1},
                           challenger);
}

PlayedMove Signers::signed_move(const Transcript& transcript, Bytes payload) const {
  const bool theirs = transcript.game().turn() == Side::provider;
  const auto move =
      protocol::sign(domain, transcript.next(payload), theirs ? provider : challenger);
  return {move, std::move(payload)};
}

}  // namespace assay::verify
